"""Mutation testing: changes one thing of a module at a time and runs the module's tests.

    python -m tests.mutants engine/ports/published.py vm/directory.py --count 60 --seed 1

A mutant is killed when a test fails or hangs, and survives when all tests pass, because none
asserts what it changes. The tests run in a copy of the tree; as root they can write to nothing
else. A module's tests are the file of its name in `tests/unit`, unless `mutants.toml` names others;
that file also lists equivalent mutants, each with the reason why no test can kill it. They are left
out. Next: `mutations.py`, which generates them, `sandbox.py`.
"""

import argparse
import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import msgspec
import psutil

from tests.mutations import Mutant, mutants_of
from tests.sandbox import confined

ROOT = Path(__file__).parents[1]
COPIED = ("vm", "engine", "desktop", "assets", "tests", "pyproject.toml")
PYTEST = ("-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider")
CLEAN_LIMIT = 600.0  # seconds for the tests of the unchanged module
FACTOR, MORE = 3.0, 5.0  # a mutant's time limit: FACTOR times the clean run, and MORE seconds
GRACE = 10.0  # seconds for hanging tests to clean up
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
PASSED = 0  # pytest's exit code; all others are failures, also import errors


class Equivalent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mutants that behave like the module. `line`: the source line, without its indentation;
    `change`: as in the report; without it, every mutant of the line."""

    line: str
    reason: str
    change: str = ""

    def covers(self, mutant: Mutant) -> bool:
        return self.line == mutant.source_line and self.change in ("", mutant.change)


class Module(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A module's entry in `mutants.toml`. `tests`: its test files, if they are not the file of
    its name in `tests/unit`."""

    tests: tuple[str, ...] = ()
    equivalent: tuple[Equivalent, ...] = ()


class Score(msgspec.Struct, frozen=True):
    """The result of one module. `hung`: the killed mutants that exceeded the time limit."""

    made: int
    equivalent: int
    killed: int
    hung: int
    survived: tuple[Mutant, ...]

    @property
    def share(self) -> float:
        """Per cent of the non-equivalent mutants that were killed."""
        tried = self.killed + len(self.survived)
        return 100.0 * self.killed / tried if tried else 100.0


class TestsFail(Exception):
    """The tests of the unchanged module fail."""


def main(words: list[str]) -> int:
    """1 when a module's share is below `--least`, 2 when its own tests fail."""
    parser = argparse.ArgumentParser(prog="./dev mutants", description="Mutation testing.")
    parser.add_argument("modules", nargs="+", metavar="MODULE", help="vm/directory.py, …")
    parser.add_argument("--count", type=int, help="mutants of each module (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="chooses which ones (default: 1)")
    parser.add_argument("--least", type=float, default=90, help="per cent killed (default: 90)")
    options = parser.parse_args(words)
    known = read_modules(ROOT / "tests" / "mutants.toml")
    end_with_us()
    codes = [0]
    for name in options.modules:
        try:
            score = examine(name, known.get(name, Module()), options.count, options.seed)
        except TestsFail as error:
            say(str(error))
            codes.append(2)
        else:
            say(summary(name, score))
            codes.append(1 if score.share < options.least else 0)
    return max(codes)


def read_modules(file: Path) -> dict[str, Module]:
    """The modules by path below the root. Raises msgspec.ValidationError."""
    return msgspec.toml.decode(file.read_bytes(), type=dict[str, Module])


def examine(name: str, module: Module, count: int | None, seed: int) -> Score:
    """Runs the tests once for each mutant, and reports survivors as they are found. Raises
    TestsFail."""
    found = mutants_of((ROOT / name).read_text())
    chosen = sample(found, count, seed)
    tried = [mutant for mutant in chosen if not is_equivalent(mutant, module)]
    for entry in module.equivalent:
        if not any(map(entry.covers, found)):
            say(f"{name}: no mutant matches an entry of mutants.toml: {entry.line}")
    killed = hung = 0
    survived = []
    with copied() as tree:
        tests = module.tests or (mirrored(name),)
        limit = FACTOR * clean_time(tree, name, tests) + MORE
        for number, mutant in enumerate(tried, 1):
            (tree / name).write_text(mutant.apply())
            code = run_tests(tree, tests, limit, keep_bytecode=False)
            if code == PASSED:
                survived.append(mutant)
                say(f"survived {number}/{len(tried)}  {name}:{mutant.line}  {mutant.change}")
            else:
                killed += 1
                hung += code is None
    return Score(len(chosen), len(chosen) - len(tried), killed, hung, tuple(survived))


def sample(found: list[Mutant], count: int | None, seed: int) -> list[Mutant]:
    """A random sample, in the order of the file."""
    if count is None or count >= len(found):
        return found
    numbers = random.Random(seed).sample(range(len(found)), count)
    return [found[number] for number in sorted(numbers)]


def is_equivalent(mutant: Mutant, module: Module) -> bool:
    return any(entry.covers(mutant) for entry in module.equivalent)


def mirrored(name: str) -> str:
    path = PurePosixPath(name)
    return str("tests" / PurePosixPath("unit") / path.with_name(f"test_{path.name}"))


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tree, short enough for socket paths."""
    with tempfile.TemporaryDirectory(prefix="gm", ignore_cleanup_errors=True) as folder:
        tree = Path(folder).resolve()
        tree.chmod(0o755)  # some tests run processes as another user
        for name in COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
            else:
                shutil.copy2(ROOT / name, tree / name)
        (tree / "t").mkdir()
        (tree / "h").mkdir()
        yield tree


def clean_time(tree: Path, name: str, tests: tuple[str, ...]) -> float:
    """Seconds that the tests take without a mutant, in a second run with compiled bytecode. Raises
    TestsFail."""
    for _ in range(2):
        began = time.monotonic()
        code = run_tests(tree, tests, CLEAN_LIMIT, keep_bytecode=True)
        if code != PASSED:
            raise TestsFail(f"{name}: {' '.join(tests)} fail without a mutant (pytest: {code})")
    # Python would take a mutant of the same size and mtime for the compiled source.
    for compiled in (tree / name).parent.glob(f"__pycache__/{Path(name).stem}.*"):
        compiled.unlink()
    return time.monotonic() - began


def run_tests(
    tree: Path, tests: tuple[str, ...], limit: float, *, keep_bytecode: bool
) -> int | None:
    """Returns pytest's exit code, None when it hung. Kills every process that the tests started."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("XDG_")}
    # A mutant of `vm/host/paths.py` may write to the home directory.
    environment |= {"PYTHONPATH": str(tree), "TMPDIR": str(tree / "t"), "HOME": str(tree / "h")}
    if not keep_bytecode:
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
    before = set(descendants())
    process = subprocess.Popen(
        confined(tree, [sys.executable, *PYTEST, *tests]),
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code: int | None = process.wait(limit)
    except subprocess.TimeoutExpired:
        code = None
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    finally:
        while started := set(descendants()) - before:
            end_all(started)
        process.wait()
    return code


def end_with_us() -> None:
    """Makes this process the parent of all orphans below it, also of those in another session."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def end_all(started: set[psutil.Process]) -> None:
    for each in started:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(started)


def summary(name: str, score: Score) -> str:
    hung = f" ({score.hung} hung)" if score.hung else ""
    return (
        f"{name}: {score.made} mutants, {score.equivalent} equivalent, "
        f"{score.killed} killed{hung}, {len(score.survived)} survived: {score.share:.0f} %"
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
