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
    """Ends `daemon-config apply` as it is told to, and remembers what it was given."""

    def __init__(self, code: int = 0, said: str = "") -> None:
        self._done = code, said
        self.given: list[str] = []

    def run(self, argv: tuple[str, ...], *, stdin: bytes = b"", timeout: float = 60) -> Completed:
        if argv[0] == "tail":
            return Completed(argv, 0, b"the log", b"")
        self.given.append(stdin.decode())
        return Completed(argv, self._done[0], self._done[1].encode(), b"")


def apply(guest: ScriptedGuest, text: str) -> None:
    daemon_json.apply(cast(Guest, guest), text)


@pytest.mark.parametrize("text", ["", "  \n", "{}", '{"debug": true}', '{"labels": ["a=b"]}\n'])
def test_what_is_fine(text: str) -> None:
    assert daemon_json.check(text) is None
    assert daemon_json.place(text) is None


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [('{\n  "a": 1\n  "b": 2\n}', 3, 3), ('{"a": }', 1, 7), ("\n\n{", 3, 2), ('{"a": 1}}', 1, 9)],
)
def test_where_it_stops_being_json(text: str, line: int, column: int) -> None:
    problem = daemon_json.check(text)
    assert problem is not None
    assert problem.summary.startswith(f"Line {line}, column {column}: ")
    assert daemon_json.place(text) == (line, column)


@pytest.mark.parametrize("text", ["[]", "1", '"a"', "null"])
def test_it_has_to_be_an_object(text: str) -> None:
    problem = daemon_json.check(text)
    assert problem is not None
    assert "object" in problem.summary


@pytest.mark.parametrize("name", sorted(daemon_json.OWNED))
def test_what_galley_owns_is_refused_with_the_reason(name: str) -> None:
    problem = daemon_json.check(json.dumps({name: "x"}))
    assert problem is not None
    assert f'"{name}"' in problem.summary
    assert problem.hint == daemon_json.OWNED[name].summary


def test_a_name_that_is_there_twice() -> None:
    problem = daemon_json.check('{"debug": true, "debug": false}')
    assert problem is not None
    assert '"debug" is there twice' in problem.summary


def test_too_much_of_it() -> None:
    around = json.dumps({"labels": [""]})
    longest = json.dumps({"labels": ["x" * (daemon_json.LONGEST - len(around))]})
    assert daemon_json.check(longest) is None
    problem = daemon_json.check(longest + " ")
    assert problem is not None
    assert problem.summary == "daemon.json is longer than 30 KiB."


def test_it_is_kept(home: Home) -> None:
    assert daemon_json.read(home) == "{}\n"
    daemon_json.write(home, '{"debug": true}\n')
    assert daemon_json.read(home) == '{"debug": true}\n'


def test_a_file_that_is_no_text(home: Home) -> None:
    home.daemon_config.write_bytes(b"\xff\xfe{")
    with pytest.raises(SettingsError, match="cannot be read"):
        daemon_json.read(home)


def test_whether_containers_live_through_it() -> None:
    assert daemon_json.keeps_containers("{}", '{"debug": true}')
    assert not daemon_json.keeps_containers("{}", '{"live-restore": false}')
    assert not daemon_json.keeps_containers('{"live-restore": false}', "{}")


def test_nothing_to_complain_about() -> None:
    guest = ScriptedGuest()
    apply(guest, '{"debug": true}\n')
    assert guest.given == ['{"debug": true}']


def test_dockerd_refuses_it_in_its_own_words() -> None:
    said = (
        "unable to configure the Docker daemon with file /run/galley/dockerd.json.joined: "
        "the following directives don't match any configuration option: nope\n"
    )
    with pytest.raises(SettingsError) as caught:
        apply(ScriptedGuest(65, said), '{"nope": 1}')
    assert caught.value.summary == (
        "dockerd refuses these settings: the following directives don't match any configuration "
        "option: nope."
    )


def test_dockerd_dies_of_it_and_the_old_is_back() -> None:
    with pytest.raises(EngineFailed) as caught:
        apply(ScriptedGuest(66, "failed to start daemon: invalid bip\n"), '{"bip": "x"}')
    assert caught.value.summary == "dockerd does not start with these settings: invalid bip."
    assert "active again" in caught.value.hint
    assert caught.value.details == "the log"


def test_not_even_the_old_starts() -> None:
    with pytest.raises(EngineFailed, match="does not start any more: boom"):
        apply(ScriptedGuest(67, "boom"), "{}")


def test_a_machine_of_an_older_galley() -> None:
    with pytest.raises(EngineFailed, match="older Galley"):
        apply(ScriptedGuest(127, "sh: not found"), "{}")


def live_restore(guest: ScriptedGuest) -> None:
    daemon_json.live_restore(cast(Guest, guest), "off")


def test_a_reload_without_live_restore() -> None:
    live_restore(ScriptedGuest(0, ""))
    with pytest.raises(EngineFailed, match="does not turn off live-restore") as caught:
        live_restore(ScriptedGuest(65, "unable to configure"))
    assert "Nothing was changed" in caught.value.hint
    assert caught.value.details == "unable to configure"
    with pytest.raises(EngineFailed, match="older Galley"):
        live_restore(ScriptedGuest(127, ""))


def configured(text: str) -> str:
    """What a guest says that has it."""
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
def test_a_machine_is_brought_what_it_lacks(
    console: list[str], text: str, given: str | None
) -> None:
    guest = ScriptedGuest()
    assert daemon_json.update_guest(cast(Guest, guest), text, console) == (given is not None)
    assert guest.given == ([] if given is None else [given])


def test_proxies_are_below_the_users_own() -> None:
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


def test_what_the_guest_refused_at_its_start() -> None:
    refused = "daemon.json refused: failed to start daemon: invalid bip"
    problem = daemon_json.refusal(["kernel", refused, "engine"])
    assert problem is not None
    assert problem.summary == "dockerd does not start with daemon.json: invalid bip."
    assert daemon_json.refusal([refused, "daemon.json in force"]) is None
    assert daemon_json.refusal(["kernel", "engine"]) is None


@pytest.mark.parametrize(
    "text", [f'{{"mtu": {"1" * 5000}}}', f'{{"a": {"[" * 15000}}}', '{"a": "\ud800"}']
)
def test_what_no_reader_takes_is_refused_in_a_sentence(text: str) -> None:
    problem = daemon_json.check(text)
    assert problem is not None
    assert "cannot be read" in problem.summary
    assert daemon_json.place(text) is None
