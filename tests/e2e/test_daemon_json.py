"""daemon.json on a real dockerd: valid changes stay, invalid ones are reverted, nothing is lost."""

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


def test_a_valid_change_takes_effect_and_containers_survive_it(galley: Galley) -> None:
    galley.docker("run", "-d", "--name", "kept", IMAGE, "sleep", "100000")
    apply(galley, {"labels": ["kitchen=galley"], "log-opts": {"max-size": "1m"}})
    assert labels(galley) == ["kitchen=galley"]
    done = galley.docker("inspect", "--format", "{{.State.Running}} {{.RestartCount}}", "kept")
    assert done.stdout.split() == [b"true", b"0"]
    galley.docker("rm", "-f", "kept")
    apply(galley, {})
    assert not labels(galley)


def test_invalid_settings_are_refused_before_anything_changes(galley: Galley) -> None:
    apply(galley, {"labels": ["a=1"]})
    before = dockerd_pid(galley)
    assert "Line 1, column 10: expecting" in apply(galley, '{"labels"', check=False)
    assert '"hosts" cannot be set here' in apply(galley, {"hosts": []}, check=False)
    output = apply(galley, {"no-such-thing": 1}, check=False)
    assert "dockerd refuses these settings" in output
    assert "no-such-thing" in output
    assert dockerd_pid(galley) == before
    assert in_force(galley) == {"labels": ["a=1"]}
    assert labels(galley) == ["a=1"]


def test_another_log_driver_gets_no_options_from_galley(galley: Galley) -> None:
    """syslog has no max-size, and dockerd does not start with an option that its driver lacks."""
    apply(galley, {"labels": ["a=1"], "log-driver": "syslog"})
    stdout = galley.docker("info", "--format", "{{.LoggingDriver}}").stdout
    assert stdout.strip() == b"syslog"


def test_settings_that_stop_dockerd_from_starting_are_reverted(galley: Galley) -> None:
    apply(galley, {"labels": ["a=1"]})
    output = apply(galley, {"labels": ["a=2"], "bip": "300.1.2.3/24"}, check=False)
    assert "dockerd does not start with these settings" in output
    assert "300.1.2.3" in output
    assert "The previous settings are active again" in output
    assert labels(galley) == ["a=1"]
    assert in_force(galley) == {"labels": ["a=1"]}
    assert galley.status()["problems"] == []


def test_settings_that_fail_at_a_later_start_are_left_out(galley: Galley) -> None:
    """While containers run, dockerd does not touch the networks, and accepts a bad address."""
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


def test_settings_survive_a_restart_and_a_new_machine(galley: Galley) -> None:
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
