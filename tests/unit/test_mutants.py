"""The mutator: the changes that it makes, and how it counts the results of the tests."""

from pathlib import Path

import psutil
import pytest

from tests import mutants
from tests.mutants import Equivalent, Module, Score
from tests.mutations import mutants_of


def changes(source: str) -> list[str]:
    found = mutants_of(source)
    for mutant in found:
        compile(mutant.apply(), "mutant", "exec")
    return [mutant.change for mutant in found]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a == b", ["a == b → (a != b)"]),
        ("x = a < b <= c", ["a < b <= c → (a < b < c)", "a < b <= c → (a <= b <= c)"]),
        ("x = a is b", ["a is b → (a is not b)"]),
        ("x = a not in b", ["a not in b → (a in b)"]),
        ("x = a and b or c", ["a and b → (a or b)", "a and b or c → ((a and b) and c)"]),
        ("x = not a", ["not a → (a)"]),
        ("x = 1, 2.0, True", ["1 → 2", "2.0 → 3.0", "True → False"]),
        ("x = 'a', b'', None", ["'a' → 'aX'", "b'' → b'X'"]),
        ("x = a + b - c", ["a + b → (a - b)", "a + b - c → (a + b + c)"]),
        ("x += y", ["x += y → pass", "x += y → x -= y"]),
        ("if x: pass", ["x → False", "x → True"]),
        ("while x: pass", ["x → False", "x → True"]),
        ("x = [a for a in b if c]", ["c → False", "c → True"]),
        ("def f():\n    return a", ["return a → return None"]),
        ("a.b = c", ["a.b = c → pass"]),
        ("f(\n  a)", ["f( a) → pass"]),
        ("raise A", ["raise A → pass"]),
        ("x = f'{a}b{c + d:02}'", ["c + d → (c - d)"]),
        ("é = 'é'; x = 'a'", ["'é' → 'éX'", "'a' → 'aX'"]),
    ],
)
def test_the_mutants_of_a_line(source: str, expected: list[str]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "'docstring'",
        "x = 'a sentence'",
        "def f(a: 'A') -> 'B':\n    return None",
        "x: 'A' = y",
        "log.info('%s', a + b)",
        "class A(B, frozen=True): pass",
        "x = y",
    ],
)
def test_text_annotations_and_logging_are_not_mutated(source: str) -> None:
    assert changes(source) == []


MODULE = '''\
"""M."""


def grown(size: int) -> int:
    return size + 1


def is_large(size: int) -> bool:
    return size > 2


def untested(size: int) -> int:
    return size
'''
TESTS = '''\
"""T."""

import threading

from vm.m import grown, is_large


def test_grown() -> None:
    if grown(1) == 0:
        threading.Event().wait()
    assert grown(1) == 2


def test_is_large() -> None:
    assert not is_large(1)
    assert is_large(3)
'''


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "vm").mkdir()
    (tmp_path / "vm" / "__init__.py").touch()  # so that it precedes the vm of this tree
    (tmp_path / "vm" / "m.py").write_text(MODULE)
    (tmp_path / "tests" / "unit" / "vm").mkdir(parents=True)
    (tmp_path / "tests" / "unit" / "vm" / "test_m.py").write_text(TESTS)
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    monkeypatch.setattr(mutants, "COPIED", ("vm", "tests"))
    monkeypatch.setattr(mutants, "FACTOR", 1.0)
    monkeypatch.setattr(mutants, "MORE", 2.0)
    return tmp_path


def test_killed_hung_and_survived_mutants_are_counted(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Module(equivalent=(Equivalent("return size", "a reason"), Equivalent("gone", "none")))
    score = mutants.examine("vm/m.py", known, None, 1)
    assert (score.made, score.equivalent, score.killed, score.hung) == (7, 1, 5, 1)
    assert [mutant.change for mutant in score.survived] == ["size > 2 → (size >= 2)"]
    assert capsys.readouterr().out == (
        "vm/m.py: no mutant matches an entry of mutants.toml: gone\n"
        "survived 5/6  vm/m.py:9  size > 2 → (size >= 2)\n"
    )
    assert (tree / "vm" / "m.py").read_text() == MODULE


HANGING = """
import pathlib, signal, subprocess, threading
import pytest

@pytest.fixture
def server():
    started = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield started
    started.kill()
    started.wait()
    pathlib.Path("ended").touch()

def test(server):
    {first}
    pathlib.Path("pid").write_text(str(server.pid))
    threading.Event().wait()
"""


@pytest.mark.parametrize(
    ("first", "cleans_up"),
    [("pass", True), ("signal.signal(signal.SIGINT, signal.SIG_IGN)", False)],
)
def test_a_run_that_hangs_is_interrupted_and_its_processes_are_ended(
    tree: Path, monkeypatch: pytest.MonkeyPatch, first: str, cleans_up: bool
) -> None:
    monkeypatch.setattr(mutants, "GRACE", 5.0 if cleans_up else 0.2)
    (tree / "test_hanging.py").write_text(HANGING.format(first=first))
    assert mutants.run_tests(tree, ("test_hanging.py",), 2.0, keep_bytecode=False) is None
    assert (tree / "ended").exists() is cleans_up
    assert not psutil.pid_exists(int((tree / "pid").read_text()))


def test_tests_that_fail_without_a_mutant_are_an_error(tree: Path) -> None:
    (tree / "tests" / "unit" / "vm" / "test_m.py").write_text("def test() -> None:\n    assert 0\n")
    with pytest.raises(mutants.TestsFail, match="fail without a mutant"):
        mutants.examine("vm/m.py", Module(), None, 1)


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    found = mutants_of(MODULE)
    first = mutants.sample(found, 3, 1)
    assert first == mutants.sample(found, 3, 1)
    assert [mutant.start for mutant in first] == sorted({mutant.start for mutant in first})
    assert mutants.sample(found, 99, 1) == mutants.sample(found, None, 1) == found
    assert len({tuple(mutants.sample(found, 3, seed)) for seed in range(9)}) > 1


def test_the_killed_share_excludes_equivalent_mutants() -> None:
    survivor = mutants_of(MODULE)[0]
    score = Score(12, 2, 9, 1, (survivor,))
    assert score.share == 90
    assert mutants.summary("m.py", score) == (
        "m.py: 12 mutants, 2 equivalent, 9 killed (1 hung), 1 survived: 90 %"
    )


@pytest.mark.parametrize(("least", "code"), [("90", 0), ("91", 1)])
def test_too_few_killed_mutants_are_a_failure(
    least: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = Score(10, 0, 9, 0, tuple(mutants_of(MODULE)[:1]))
    monkeypatch.setattr(mutants, "examine", lambda *_: score)
    monkeypatch.setattr(mutants, "end_with_us", lambda: None)
    assert mutants.main(["vm/m.py", "--least", least]) == code


def test_every_listed_module_exists_with_its_tests() -> None:
    for name, module in mutants.read_modules(mutants.ROOT / "tests" / "mutants.toml").items():
        found = mutants_of((mutants.ROOT / name).read_text())
        for entry in module.equivalent:
            assert any(map(entry.covers, found)), f"{name}: {entry.line}"
        for test in module.tests or (mutants.mirrored(name),):
            path = test.removeprefix("--deselect=").partition("::")[0]
            assert (mutants.ROOT / path).exists(), test
