"""The ways to run a machine, one module or package for each, and the choice among them.

A backend is imported only when it is tried. Next: `vm/backend.py`.
"""

from collections.abc import Callable

from vm.backend import Backend
from vm.errors import SettingsError, from_problem
from vm.messages.machine import BACKEND_UNKNOWN


def _qemu() -> Backend:
    from vm.backends.qemu.backend import QemuBackend

    return QemuBackend()


def _fake() -> Backend:
    from vm.backends.fake import FakeBackend

    return FakeBackend()


# All backends that Galley has, the best first.
BACKENDS: dict[str, Callable[[], Backend]] = {"qemu": _qemu, "fake": _fake}
NEVER_BY_ITSELF = {"fake"}


def choose(name: str) -> Backend:
    """The backend of that name, or with "auto" the first that can be used here.

    Raises the problem of the requested one, or of the best one where none can be used.
    """
    if name != "auto" and name not in BACKENDS:
        raise SettingsError(BACKEND_UNKNOWN, name=name, names=", ".join(BACKENDS))
    names = [name] if name != "auto" else [key for key in BACKENDS if key not in NEVER_BY_ITSELF]
    problems = []
    for candidate in names:
        backend = BACKENDS[candidate]()
        problem = backend.probe()
        if problem is None:
            return backend
        problems.append(problem)
    first = from_problem(problems[0])
    first.details = "\n".join([first.details, *(other.summary for other in problems[1:])]).strip()
    raise first
