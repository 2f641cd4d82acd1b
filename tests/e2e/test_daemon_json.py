"""daemon.json on a real dockerd: good changes hold, bad ones are undone, and nothing is lost."""

import json

from tests.e2e.galley import IMAGE, Galley


def apply(galley: Galley, settings: object, *, check: bool = True) -> str:
    text = settings if isinstance(settings, str) else json.dumps(settings)
    file = galley.home.root / "wanted.json"
    file.write_text(text)
    done = galley.run("settings", "daemon", "--file", str(file), check=check)
    assert (done.returncode == 0) == check
    return (done.stdout + done.stderr).decode()


def labels(galley: Galley) -> list[str]:
    found: list[str] = json.loads(galley.docker("info", "--format", "{{json .Labels}}").stdout)
    return found


def has_live_restore(galley: Galley) -> bool:
    return galley.docker("info", "--format", "{{.LiveRestoreEnabled}}").stdout == b"true\n"


def in_force(galley: Galley) -> object:
    return json.loads(galley.run("settings", "daemon").stdout)


def dockerd_pid(galley: Galley) -> str:
    return galley.run("shell", "pidof", "dockerd").stdout.decode().strip()


def test_a_good_change_is_in_force_and_containers_live_through_it(galley: Galley) -> None:
    galley.docker("run", "-d", "--name", "kept", IMAGE, "sleep", "100000")
    apply(galley, {"labels": ["kitchen=galley"], "log-opts": {"max-size": "1m"}})
    assert labels(galley) == ["kitchen=galley"]
    said = galley.docker("inspect", "--format", "{{.State.Running}} {{.RestartCount}}", "kept")
    assert said.stdout.split() == [b"true", b"0"]
    galley.docker("rm", "-f", "kept")
    apply(galley, {})
    assert not labels(galley)


def test_what_is_wrong_is_told_before_anything_happens(galley: Galley) -> None:
    apply(galley, {"labels": ["a=1"]})
    before = dockerd_pid(galley)
    assert "Line 1, column 10: expecting" in apply(galley, '{"labels"', check=False)
    assert '"hosts" cannot be set here' in apply(galley, {"hosts": []}, check=False)
    said = apply(galley, {"no-such-thing": 1}, check=False)
    assert "dockerd refuses these settings" in said
    assert "no-such-thing" in said
    assert dockerd_pid(galley) == before
    assert in_force(galley) == {"labels": ["a=1"]}
    assert labels(galley) == ["a=1"]


def test_another_log_driver_gets_none_of_our_options(galley: Galley) -> None:
    """syslog has no max-size, and dockerd does not start with an option that its driver lacks."""
    apply(galley, {"labels": ["a=1"], "log-driver": "syslog"})
    said = galley.docker("info", "--format", "{{.LoggingDriver}}").stdout
    assert said.strip() == b"syslog"


def test_what_dockerd_dies_of_is_undone(galley: Galley) -> None:
    apply(galley, {"labels": ["a=1"]})
    said = apply(galley, {"labels": ["a=2"], "bip": "300.1.2.3/24"}, check=False)
    assert "dockerd does not start with these settings" in said
    assert "300.1.2.3" in said
    assert "The previous settings are active again" in said
    assert labels(galley) == ["a=1"]
    assert in_force(galley) == {"labels": ["a=1"]}
    assert galley.status()["problems"] == []


def test_what_dockerd_only_dies_of_later_does_not_keep_it_down(galley: Galley) -> None:
    """While containers run, dockerd leaves the networks alone, and so takes any nonsense."""
    galley.docker("run", "-d", "--name", "kept", IMAGE, "sleep", "100000")
    apply(galley, {"labels": ["a=2"], "bip": "300.1.2.3/24"})
    galley.docker("rm", "-f", "kept")
    galley.run("restart")
    assert not labels(galley)
    [problem] = galley.status()["problems"]
    assert "dockerd does not start with daemon.json" in problem["summary"]
    assert "300.1.2.3" in problem["summary"]
    apply(galley, {"labels": ["a=3"]})
    assert labels(galley) == ["a=3"]
    assert galley.status()["problems"] == []


def test_it_survives_a_restart_and_a_new_machine(galley: Galley) -> None:
    apply(galley, {"labels": ["kept=yes"], "live-restore": False})
    assert not has_live_restore(galley)
    galley.run("restart")
    assert labels(galley) == ["kept=yes"]
    assert not has_live_restore(galley)
    galley.run("stop")
    apply(galley, {"labels": ["set=while-off"]})
    galley.start()
    assert labels(galley) == ["set=while-off"]
    assert has_live_restore(galley)
    apply(galley, {})
