"""Parsing a log into lines, without a dockerd."""

from engine.docker.log_lines import LogParser


def test_text_that_looks_like_a_timestamp_stays_text() -> None:
    message = b"2026-01-02T03:04:05Z first\n2026-99-99T99:99:99Z second\n"
    frame = b"\x01\0\0\0" + len(message).to_bytes(4) + message
    first, second = LogParser(tty=False).feed(frame)
    assert first.text == "first"
    assert second.text == "2026-99-99T99:99:99Z second"
    assert second.time == first.time
