"""The launch agent's file alone: there is no launchd here, and none has ever loaded it."""

import plistlib
from pathlib import Path

import pytest

from engine.autostart import macos
from engine.autostart.entry import Login, Standing
from vm.errors import HostError

LOGIN = Login("galley", ("/Applications/a b/galley", "desktop", "--hidden"))
# Keys of launchd.plist(5) that a user's agent may have, and their types.
KEYS = {
    "Label": str, "Disabled": bool, "Program": str, "ProgramArguments": list,
    "EnvironmentVariables": dict, "RunAtLoad": bool, "KeepAlive": bool, "WorkingDirectory": str,
    "StandardOutPath": str, "StandardErrorPath": str, "AbandonProcessGroup": bool,
    "LimitLoadToSessionType": str, "ProcessType": str, "Umask": int, "Nice": int,
}  # fmt: skip


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def content() -> dict[str, object]:
    return dict(plistlib.loads(macos.path(LOGIN).read_bytes()))


def write(**changes: object) -> None:
    macos.path(LOGIN).write_bytes(plistlib.dumps({**content(), **changes}))


def test_autostart_is_enabled_and_disabled(tmp_path: Path) -> None:
    assert macos.state(LOGIN).standing is Standing.DISABLED
    macos.disable(LOGIN)
    macos.enable(LOGIN)
    assert macos.path(LOGIN) == tmp_path / "Library" / "LaunchAgents" / "galley.plist"
    assert macos.state(LOGIN).standing is Standing.ENABLED
    macos.disable(LOGIN)
    assert macos.state(LOGIN).standing is Standing.DISABLED


def test_every_key_is_one_of_launchd_plist() -> None:
    macos.enable(LOGIN)
    found = content()
    assert found == macos.agent(LOGIN)
    for key, value in found.items():
        assert isinstance(value, KEYS[key]), key
    assert found["Label"] == macos.path(LOGIN).stem
    assert found["ProgramArguments"] == [*LOGIN.command, "--foreground"]
    assert found["RunAtLoad"] is True
    assert found["LimitLoadToSessionType"] in ("Aqua", "Background", "LoginWindow", "StandardIO")
    assert found["ProcessType"] in ("Background", "Standard", "Adaptive", "Interactive")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Disabled": True}, "The desktop's own settings"),
        ({"RunAtLoad": False}, "The desktop's own settings"),
        ({"ProgramArguments": ["/usr/local/bin/galley", "desktop"]}, "/usr/local/bin/galley des"),
        ({"ProgramArguments": []}, "not this Galley: nothing."),
    ],
)
def test_a_disabled_or_foreign_agent_is_reported_and_replaced(
    changes: dict[str, object], expected: str
) -> None:
    macos.enable(LOGIN)
    write(**changes)
    seen = macos.state(LOGIN)
    assert seen.standing is Standing.ELSEWHERE
    assert seen.problem is not None
    assert expected in seen.problem.summary
    macos.enable(LOGIN)
    assert macos.state(LOGIN).standing is Standing.ENABLED


@pytest.mark.parametrize("text", ["", "no plist", "<?xml version='1.0'?><plist>", "bplist00"])
def test_an_invalid_plist_is_reported(text: str) -> None:
    macos.enable(LOGIN)
    macos.path(LOGIN).write_text(text)
    seen = macos.state(LOGIN)
    assert seen.standing is Standing.ELSEWHERE
    assert seen.problem is not None
    assert "cannot be read" in seen.problem.summary


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "Library").write_text("a file, not a folder")
    for attempt in (macos.enable, macos.disable):
        with pytest.raises(HostError, match=r"^Start at login cannot be changed: "):
            attempt(LOGIN)
