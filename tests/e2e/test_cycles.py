"""Starts and stops: every one answers, and nothing piles up. The benchmark makes twenty."""

from tests.e2e.galley import IMAGE, Galley

CYCLES = 5


def test_cycles_leave_nothing_behind(fresh: Galley) -> None:
    fresh.start()
    fresh.load_image()
    kept = ["--name", "kept", "--init", "--restart", "always"]
    fresh.docker("run", "-d", *kept, IMAGE, "sleep", "100000")
    fresh.run("stop")
    files = _files(fresh) | {"logs/console.1.log"}  # the log of the start before
    for cycle in range(CYCLES):
        fresh.start()
        names = fresh.docker("ps", "--format", "{{.Names}}").stdout.decode().split()
        assert names == ["kept"], f"cycle {cycle}"
        fresh.run("stop")
        assert not fresh.machines()
        assert _files(fresh) == files
    fresh.run("quit")
    fresh.wait_for(lambda: not fresh.processes(), "the supervisor has gone")
    assert not [path for path in fresh.home.run.iterdir() if path.is_socket()]


def _files(galley: Galley) -> set[str]:
    root = galley.home.root
    return {str(path.relative_to(root)) for path in root.rglob("*") if "images" not in path.parts}
