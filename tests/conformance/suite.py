"""Runs a scenario on both engines at once, compares each answer, and counts the results.

    @on_both
    def test_rename(engine: Engine, answer: Answers) -> None:
        answer("renamed", engine.docker("rename", "a", "b").all)

Next: `differences.py`.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tests.conformance.differences import DIFFERENCES, MISSING, Difference
from tests.conformance.engines import Engine
from tests.conformance.normalise import normalise

LIMIT = 540.0  # seconds for a scenario; only one that hangs takes so long
SHOWN = 300  # characters of an answer in a failure

type Scenario = Callable[[Engine, Answers], None]


class Answers(dict[str, Any]):
    """The answers of one engine by name. Each name is one comparison."""

    def __call__(self, name: str, value: Any) -> None:
        assert name not in self, f"{name} is answered twice"
        self[name] = value

    def fields(self, name: str, document: dict[str, Any], *fields: str) -> None:
        """The named fields as one answer each, and all others as one answer."""
        self.some(name, document, *fields)
        self(name, {key: value for key, value in document.items() if key not in fields})

    def some(self, name: str, document: dict[str, Any], *fields: str) -> None:
        """The named fields as one answer each."""
        for field in fields:
            self(f"{name}.{field}", document.get(field, MISSING))


class Run(threading.Thread):
    """A scenario on one engine."""

    def __init__(self, scenario: Scenario, engine: Engine) -> None:
        super().__init__(name=f"conformance-{engine.name}", daemon=True)
        self.engine = engine
        self.answers = Answers()
        self.failure: BaseException | None = None
        self._scenario = scenario

    def run(self) -> None:
        self.engine.enter()
        try:
            self._scenario(self.engine, self.answers)
        except BaseException as failure:  # the test, which joins this thread, raises it again
            self.failure = failure
        finally:
            self.engine.clear()

    def normalised(self) -> dict[str, Any]:
        return {name: normalise(value, self.engine) for name, value in self.answers.items()}


class Finding(msgspec.Struct, frozen=True):
    """The comparison of one answer: reasons of explained differences, and unexplained ones."""

    area: str
    explained: tuple[str, ...]
    open: tuple[str, ...]


class Suite:
    def __init__(self, native: Engine, galley: Engine) -> None:
        self.engines = (native, galley)
        self.findings: list[Finding] = []
        self.used: set[Difference] = set()
        self.stuck = ""  # a scenario that hangs: later results would not be reliable

    def compare(self, scenario: Scenario) -> None:
        """Raises AssertionError for differences without a reason. A difference must show against
        two runs of the native engine: a loaded dockerd may lose the output of a container that ends
        at once (it waits two seconds for it)."""
        native, galley = self.engines
        theirs, ours = self._answers(scenario, native, galley)
        found = self._findings(scenario, theirs, ours)
        if any(finding.open for finding in found.values()):
            (again,) = self._answers(scenario, native)
            second = self._findings(scenario, again, ours)
            found |= {name: one for name, one in second.items() if not one.open}
        self.findings += found.values()
        differences = "\n".join(line for finding in found.values() for line in finding.open)
        assert not differences, f"Galley and a native engine differ:\n{differences}"

    def _answers(self, scenario: Scenario, *engines: Engine) -> list[dict[str, Any]]:
        """The answers of each engine; all run at once."""
        runs = [Run(scenario, engine) for engine in engines]
        assert not self.stuck, f"{self.stuck} still runs"
        for run in runs:
            run.start()
        for run in runs:
            run.join(LIMIT)
            self.stuck = f"{scenario.__name__} on {run.engine.name}" if run.is_alive() else ""
            assert not self.stuck, f"{self.stuck} does not end"
        for run in runs:
            if run.failure is not None:
                raise AssertionError(f"the scenario failed on {run.engine.name}") from run.failure
        return [run.normalised() for run in runs]

    def _findings(
        self, scenario: Scenario, theirs: dict[str, Any], ours: dict[str, Any]
    ) -> dict[str, Finding]:
        """The finding of each answer by its name."""
        area = scenario.__module__.rpartition(".test_")[2]
        label = f"{area}/{scenario.__name__.removeprefix('test_')}"
        return {
            name: self._finding(
                area, f"{label}/{name}", theirs.get(name, MISSING), ours.get(name, MISSING)
            )
            for name in theirs | ours
        }

    def _finding(self, area: str, name: str, native: Any, galley: Any) -> Finding:
        explained, unexplained = [], []
        for path, theirs, ours in differing(native, galley, name):
            reason = next((one for one in DIFFERENCES if one.explains(path, theirs, ours)), None)
            if reason is None:
                unexplained.append(
                    f"{path}\n    native: {_short(theirs)}\n    Galley: {_short(ours)}"
                )
            else:
                self.used.add(reason)
                explained.append(reason.reason)
        return Finding(area, tuple(explained), tuple(unexplained))

    def stale(self) -> list[str]:
        """The patterns of reasons that no longer explain a difference."""
        return [one.where for one in DIFFERENCES if one not in self.used and not one.computer]

    def table(self) -> Iterator[str]:
        areas = Counter(finding.area for finding in self.findings)
        explained = Counter(finding.area for finding in self.findings if finding.explained)
        unexplained = Counter(finding.area for finding in self.findings if finding.open)
        yield f"{'area':<14}{'comparisons':>12}{'with a reason':>15}{'without':>9}"
        for area in sorted(areas):
            yield f"{area:<14}{areas[area]:>12}{explained[area]:>15}{unexplained[area]:>9}"
        sums = (areas.total(), explained.total(), unexplained.total())
        yield f"{'total':<14}{sums[0]:>12}{sums[1]:>15}{sums[2]:>9}"


def on_both(scenario: Scenario) -> Callable[[Suite], None]:
    """Makes a scenario a test."""

    def test(suite: Suite) -> None:
        suite.compare(scenario)

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    return test


def differing(native: Any, galley: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Paths and values that differ, as deep as both answers have the same shape."""
    if isinstance(native, dict) and isinstance(galley, dict):
        for key in native | galley:
            below = f"{path}.{key}"
            yield from differing(native.get(key, MISSING), galley.get(key, MISSING), below)
    elif isinstance(native, list) and isinstance(galley, list) and len(native) == len(galley):
        for index, (theirs, ours) in enumerate(zip(native, galley, strict=True)):
            yield from differing(theirs, ours, f"{path}.{index}")
    elif native != galley:
        yield path, json.dumps(native, sort_keys=True), json.dumps(galley, sort_keys=True)


def _short(answer: str) -> str:
    return answer if len(answer) <= SHOWN else f"{answer[:SHOWN]}… ({len(answer)} characters)"
