"""Repeated starts and stops: each works and leaks nothing. The benchmark does twenty."""

from tests.e2e.galley import IMAGE, Galley

CYCLES = 5


def test_cycles_leave_nothing_behind(used: Galley) -> None:
    used.start()
    kept = ["--name", "kept", "--init", "--restart", "always"]
    used.docker("run", "-d", *kept, IMAGE, "sleep", "100000")
    used.run("stop")
    files = _files(used) | {"logs/console.1.log"}  # the log of the start before
    for cycle in range(CYCLES):
        used.start()
        names = used.docker("ps", "--format", "{{.Names}}").stdout.decode().split()
        assert names == ["kept"], f"cycle {cycle}"
        used.run("stop")
        assert not used.machines()
        assert _files(used) == files
    used.run("quit")
    used.wait_for(lambda: not used.processes(), "the supervisor has ended")
    assert not [path for path in used.home.run.iterdir() if path.is_socket()]


def _files(galley: Galley) -> set[str]:
    root = galley.home.root
    return {str(path.relative_to(root)) for path in root.rglob("*") if "images" not in path.parts}
