"""daemon.json without a machine: validation, and errors of dockerd."""

import hashlib
import json
from typing import cast

import pytest

from engine.provisioning import daemon_json
from vm.errors import EngineFailed, SettingsError
from vm.guest.protocol import Guest
from vm.host.paths import Home
from vm.host.process import Completed


class ScriptedGuest:
    """Scripts the result of `daemon-config apply` and records its input."""

    def __init__(self, code: int = 0, output: str = "") -> None:
        self._done = code, output
        self.given: list[str] = []

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        if argv[0] == "tail":
            return Completed(argv, 0, b"the log", b"")
        self.given.append(stdin.decode())
        return Completed(argv, self._done[0], self._done[1].encode(), b"")


def apply(guest: ScriptedGuest, text: str) -> None:
    daemon_json.apply(cast(Guest, guest), text)


@pytest.mark.parametrize("text", ["", "  \n", "{}", '{"debug": true}', '{"labels": ["a=b"]}\n'])
def test_valid_text_passes(text: str) -> None:
    assert daemon_json.check(text) is None
    assert daemon_json.place(text) is None


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [('{\n  "a": 1\n  "b": 2\n}', 3, 3), ('{"a": }', 1, 7), ("\n\n{", 3, 2), ('{"a": 1}}', 1, 9)],
)
def test_a_syntax_error_is_reported_with_line_and_column(text: str, line: int, column: int) -> None:
    problem = daemon_json.check(text)
    assert problem is not None
    assert problem.summary.startswith(f"Line {line}, column {column}: ")
    assert daemon_json.place(text) == (line, column)


@pytest.mark.parametrize("text", ["[]", "1", '"a"', "null"])
def test_the_text_has_to_be_an_object(text: str) -> None:
    problem = daemon_json.check(text)
    assert problem is not None
    assert "object" in problem.summary


@pytest.mark.parametrize("name", sorted(daemon_json.OWNED))
def test_a_key_that_galley_owns_is_refused_with_the_reason(name: str) -> None:
    problem = daemon_json.check(json.dumps({name: "x"}))
    assert problem is not None
    assert f'"{name}"' in problem.summary
    assert problem.hint == daemon_json.OWNED[name].summary


def test_a_duplicate_key_is_refused() -> None:
    problem = daemon_json.check('{"debug": true, "debug": false}')
    assert problem is not None
    assert '"debug" is there twice' in problem.summary


def test_a_text_that_is_too_long_is_refused() -> None:
    empty = json.dumps({"labels": [""]})
    longest = json.dumps({"labels": ["x" * (daemon_json.LONGEST - len(empty))]})
    assert daemon_json.check(longest) is None
    problem = daemon_json.check(longest + " ")
    assert problem is not None
    assert problem.summary == "daemon.json is longer than 30 KiB."


def test_the_file_is_written_and_read(home: Home) -> None:
    assert daemon_json.read(home) == "{}\n"
    daemon_json.write(home, '{"debug": true}\n')
    assert daemon_json.read(home) == '{"debug": true}\n'


def test_a_file_that_is_not_utf_8_is_refused(home: Home) -> None:
    home.daemon_config.write_bytes(b"\xff\xfe{")
    with pytest.raises(SettingsError, match="cannot be read"):
        daemon_json.read(home)


def test_containers_survive_unless_live_restore_changes() -> None:
    assert daemon_json.keeps_containers("{}", '{"debug": true}')
    assert not daemon_json.keeps_containers("{}", '{"live-restore": false}')
    assert not daemon_json.keeps_containers('{"live-restore": false}', "{}")


def test_accepted_text_is_sent_to_the_guest() -> None:
    guest = ScriptedGuest()
    apply(guest, '{"debug": true}\n')
    assert guest.given == ['{"debug": true}']


def test_a_refusal_has_the_message_of_dockerd() -> None:
    output = (
        "unable to configure the Docker daemon with file /run/galley/dockerd.json.joined: "
        "the following directives don't match any configuration option: nope\n"
    )
    with pytest.raises(SettingsError) as caught:
        apply(ScriptedGuest(65, output), '{"nope": 1}')
    assert caught.value.summary == (
        "dockerd refuses these settings: the following directives don't match any configuration "
        "option: nope."
    )


def test_settings_that_dockerd_does_not_start_with_are_rolled_back() -> None:
    with pytest.raises(EngineFailed) as caught:
        apply(ScriptedGuest(66, "failed to start daemon: invalid bip\n"), '{"bip": "x"}')
    assert caught.value.summary == "dockerd does not start with these settings: invalid bip."
    assert "active again" in caught.value.hint
    assert caught.value.details == "the log"


def test_a_failed_rollback_is_reported() -> None:
    with pytest.raises(EngineFailed, match="does not start any more: boom"):
        apply(ScriptedGuest(67, "boom"), "{}")


def test_a_machine_of_an_older_galley_is_an_error() -> None:
    with pytest.raises(EngineFailed, match="older Galley"):
        apply(ScriptedGuest(127, "sh: not found"), "{}")


def live_restore(guest: ScriptedGuest) -> None:
    daemon_json.live_restore(cast(Guest, guest), "off")


def test_a_failure_to_turn_off_live_restore_is_reported() -> None:
    live_restore(ScriptedGuest(0, ""))
    with pytest.raises(EngineFailed, match="does not turn off live-restore") as caught:
        live_restore(ScriptedGuest(65, "unable to configure"))
    assert "Nothing was changed" in caught.value.hint
    assert caught.value.details == "unable to configure"
    with pytest.raises(EngineFailed, match="older Galley"):
        live_restore(ScriptedGuest(127, ""))


def configured(text: str) -> str:
    """The console line of a guest that has this configuration."""
    return "configured " + hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("console", "text", "given"),
    [
        ([], '{"debug": true}\n', '{"debug": true}'),
        ([], "{}", None),
        (["engine"], " \n", None),
        ([configured('{"debug": true}')], '{"debug": true}\n', None),
        ([configured('{"debug": true}')], "{}", "{}"),
        ([configured('{"debug": true}'), configured("{}")], "{}", None),
        ([configured('{"debug": true}'), configured("{}")], '{"debug": true}', '{"debug": true}'),
    ],
)
def test_a_machine_gets_a_configuration_that_its_console_does_not_report(
    console: list[str], text: str, given: str | None
) -> None:
    guest = ScriptedGuest()
    assert daemon_json.update_guest(cast(Guest, guest), text, console) == (given is not None)
    assert guest.given == ([] if given is None else [given])


def test_the_users_own_proxies_take_precedence() -> None:
    ours = {"http-proxy": "http://a:1", "no-proxy": "localhost"}
    assert daemon_json.joined("{}\n", {}) == "{}\n"
    assert json.loads(daemon_json.joined("", ours)) == {"proxies": ours}
    own = '{"debug": true, "proxies": {"http-proxy": "http://b:2"}}'
    assert json.loads(daemon_json.joined(own, ours)) == {
        "debug": True,
        "proxies": {"http-proxy": "http://b:2", "no-proxy": "localhost"},
    }
    with pytest.raises(SettingsError, match="Line 1"):
        daemon_json.joined("{", ours)


def test_a_refusal_during_boot_is_read_from_the_console() -> None:
    refused = "daemon.json refused: failed to start daemon: invalid bip"
    problem = daemon_json.refusal(["kernel", refused, "engine"])
    assert problem is not None
    assert problem.summary == "dockerd does not start with daemon.json: invalid bip."
    assert daemon_json.refusal([refused, "daemon.json in force"]) is None
    assert daemon_json.refusal(["kernel", "engine"]) is None


@pytest.mark.parametrize(
    "text", [f'{{"mtu": {"1" * 5000}}}', f'{{"a": {"[" * 15000}}}', '{"a": "\ud800"}']
)
def test_json_that_no_parser_accepts_is_refused(text: str) -> None:
    problem = daemon_json.check(text)
    assert problem is not None
    assert "cannot be read" in problem.summary
    assert daemon_json.place(text) is None
