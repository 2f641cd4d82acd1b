"""Transfers with progress, without an engine."""

import threading
import time
from collections.abc import Iterator

import pytest

from engine.docker.cancel import Cancel
from engine.docker.transfers import Layers, Report, watched
from engine.docker.types import TransferProgress
from vm.errors import Cancelled, EngineRefused
from vm.messages import Message


def test_reports_are_throttled_and_the_last_one_arrives() -> None:
    def work(report: Report, cancel: Cancel) -> None:
        while time.monotonic() < started + 0.3:
            report(TransferProgress("on the way"))
        report(TransferProgress("there"))

    started = time.monotonic()
    seen = [progress.status for progress in watched(work, Cancel())]
    assert seen[-1] == "there"
    assert len(seen) <= 2 + 20 * (time.monotonic() - started)


def test_a_report_before_a_pause_is_delivered_during_it() -> None:
    pause = threading.Event()

    def work(report: Report, cancel: Cancel) -> None:
        for text in ("one", "two", "three"):
            report(TransferProgress(text))
        pause.wait(30)

    progress = watched(work, Cancel())
    while next(progress).status != "three":
        pass
    pause.set()
    assert list(progress) == []


def test_the_error_of_the_work_is_raised_after_its_last_report() -> None:
    def work(report: Report, cancel: Cancel) -> None:
        report(TransferProgress("last words"))
        raise EngineRefused(Message("", "No."))

    seen: list[str] = []
    with pytest.raises(EngineRefused, match="No"):
        seen.extend(progress.status for progress in watched(work, Cancel()))
    assert seen == ["last words"]


def _until_cancelled(cancelled: Cancel, ended: threading.Event) -> Iterator[TransferProgress]:
    def work(report: Report, cancel: Cancel) -> None:
        report(TransferProgress("working"))
        woken = threading.Event()
        with cancel.closing(woken.set):
            woken.wait(30)
        ended.set()
        cancel.check()

    return watched(work, cancelled)


def test_a_cancel_ends_the_work() -> None:
    cancel, ended = Cancel(), threading.Event()
    progress = _until_cancelled(cancel, ended)
    assert next(progress).status == "working"
    threading.Timer(0.05, cancel.set).start()
    with pytest.raises(Cancelled):
        list(progress)
    assert ended.is_set()


def test_closing_the_iterator_ends_the_work() -> None:
    cancel, ended = Cancel(), threading.Event()
    progress = _until_cancelled(cancel, ended)
    next(progress)
    progress.close()  # type: ignore[attr-defined]  # it is a generator
    assert ended.is_set()
    assert not cancel.is_set


def test_messages_of_a_pull_are_combined_by_layer() -> None:
    layers = Layers()
    layers.take({"status": "Pulling from library/x", "id": "latest"})
    layers.take({"status": "Pulling fs layer", "progressDetail": {}, "id": "aa"})
    layers.take(
        {"status": "Downloading", "progressDetail": {"current": 5, "total": 10}, "id": "aa"}
    )
    half = layers.take({"status": "Waiting", "progressDetail": {}, "id": "bb"})
    assert [(layer.id, layer.done, layer.total) for layer in half.layers] == [
        ("aa", 5, 10),
        ("bb", 0, 0),
    ]
    assert half.fraction == 0.5
    whole = layers.take({"status": "Pull complete", "progressDetail": {}, "id": "aa"})
    assert whole.layers[0].done == 10
    assert layers.take({"status": "Digest: sha256:1"}).status == "Digest: sha256:1"
