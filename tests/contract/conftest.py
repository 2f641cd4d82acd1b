"""Fixtures for a machine on one backend, in the test's own home."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests import accelerators
from tests.bare_backend import BareBackend
from tests.contract.power import Disk
from vm.backend import Backend, Force
from vm.backends import choose
from vm.backends.qemu.state import boot_checkpoint, saved, suspend
from vm.directory import MachineDir
from vm.errors import GalleyError
from vm.host import net
from vm.host.paths import find_home, make_home, write_atomic
from vm.image import Fingerprint
from vm.lifecycle.boot_steps import Deadlines
from vm.lifecycle.machine import Machine
from vm.lifecycle.steps import Patience
from vm.messages import Text
from vm.types import MachineSpec, MachineState, Status

NO_IMAGE = "none"  # the fake machine's image
PATIENCE = 120.0  # seconds; only a test that fails waits so long


class Bench:
    """One backend, one directory, and the machine that is open on it."""

    def __init__(self, backend: Backend, directory: MachineDir, image: str) -> None:
        self.backend = backend
        self.directory = directory
        self.machine: Machine
        self.last_pid = 0
        self.seen: list[Status] = []
        self.at_change: Callable[[Status], None] = lambda status: None
        self.image = image
        self._changed = threading.Condition()
        if image != NO_IMAGE:
            accelerators.lend(directory)

    def open(self, **deadlines: float) -> Machine:
        self.machine = Machine(self.directory, self.backend, Deadlines(**deadlines))
        self.machine.open(on_change=self._note)
        return self.machine

    def state(self) -> MachineState:
        return self.machine.status.state

    def spec(self) -> MachineSpec:
        gib = 1024**3
        return MachineSpec(cpus=1, memory_bytes=gib, disk_bytes=8 * gib, image=self.image)

    def prepare(self, wait: Patience, note: Callable[[Text], None]) -> MachineSpec:
        return self.spec()

    def start(self) -> None:
        self.machine.start(self.prepare)

    def boot(self) -> None:
        """Starts the machine and waits until it can run commands; sshd starts last."""
        self.start()
        self.wait_for(lambda: self.machine.story.console.find("sshd") is not None)

    def has_boot_checkpoint(self) -> bool:
        return (self.directory.boot_checkpoint / boot_checkpoint.MANIFEST).exists()

    def start_expecting(self, kind: type[GalleyError]) -> None:
        with pytest.raises(kind):
            self.start()

    def stop(self) -> None:
        self.last_pid = self.pid() or 0
        self.machine.stop()

    def pid(self) -> int | None:
        return self.backend.observe(self.directory).pid

    def free_port(self) -> int:
        return net.free_port()

    def script(self, **changes: object) -> None:
        """Writes the fake machine's script of faults."""
        (self.directory.root / "fake.json").write_bytes(msgspec.json.encode(changes))

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Checks the condition at each change of status, and also regularly."""
        with self._changed:
            for _ in range(int(PATIENCE / 0.05)):
                if holds():
                    return
                self._changed.wait(0.05)
        raise AssertionError("the condition did not become true")

    def clean_up(self) -> None:
        self.machine.close()
        if self.backend.observe(self.directory).state is not MachineState.STOPPED:
            self.backend.stop(self.directory, Force.KILL)
            assert self.backend.wait_stopped(self.directory, 10)
        accelerators.keep(self.directory)

    def _note(self, status: Status) -> None:
        self.at_change(status)
        with self._changed:
            self.seen.append(status)
            self._changed.notify_all()


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of every home: a suspended machine and a checkpoint are valid only there."""
    return tmp_path_factory.mktemp("m") / "home"


@pytest.fixture
def home(place: Path) -> Iterator[Path]:
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def make_bench(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Bench]:
    """`make_bench("fake")`, or "bare"; with "qemu" the image that `./dev` built is used."""

    def make(name: str) -> Bench:
        image = str(guest_image()) if name == "qemu" else NO_IMAGE
        monkeypatch.setenv("GALLEY_HOME", str(home))
        backend = BareBackend() if name == "bare" else choose(name)
        return Bench(backend, MachineDir.of(make_home(find_home())), image)

    return make


@pytest.fixture
def disk(tmp_path: Path, home: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk", home)
    yield made
    made.unmount()


@pytest.fixture
def bench(make_bench: Callable[[str], Bench]) -> Iterator[Bench]:
    """A bench with QEMU; tests of other backends override this fixture."""
    bench = make_bench("qemu")
    yield bench
    bench.clean_up()


@pytest.fixture
def powered(disk: Disk, bench: Bench) -> Bench:
    """A bench whose home is on `disk`, which is mounted first."""
    return bench


@pytest.fixture(scope="session")
def kept(place: Path) -> Iterator[Path]:
    """The files of a machine that was started once, has a boot checkpoint, and is suspended."""
    image = str(guest_image())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GALLEY_HOME", str(place))
        bench = Bench(choose("qemu"), MachineDir.of(make_home(find_home())), image)
    try:
        bench.open()
        bench.boot()
        bench.wait_for(bench.has_boot_checkpoint)
        bench.machine.suspend()
    finally:
        bench.clean_up()
    files = bench.directory.root.rename(place.with_name("kept"))
    shutil.rmtree(place)
    yield files
    shutil.rmtree(files)


@pytest.fixture
def used(kept: Path, request: pytest.FixtureRequest) -> None:
    """The test's machine was started before and suspended: it resumes in a tenth of the time that
    a first start takes."""
    is_powered = "powered" in request.fixturenames
    bench: Bench = request.getfixturevalue("powered" if is_powered else "bench")
    lay_out(kept, bench)
    if is_powered:
        subprocess.run(["sync", "--file-system", bench.directory.root], check=True)


def lay_out(kept: Path, bench: Bench) -> None:
    """Copies the kept machine to the bench's directory."""
    words = ("cp", "--archive", "--reflink=auto", f"{kept}/.", bench.directory.root)
    subprocess.run(words, check=True)
    accept(bench.directory)


def accept(directory: MachineDir) -> None:
    """Rewrites the manifests' fingerprints, so that the copied files are valid."""
    copied, made = (
        directory.suspended / suspend.MANIFEST,
        directory.boot_checkpoint / boot_checkpoint.MANIFEST,
    )
    suspended = msgspec.json.decode(copied.read_bytes(), type=suspend.SuspendManifest)
    suspended = msgspec.structs.replace(
        suspended,
        files=saved.fingerprints(directory.suspended),
        data_disk=Fingerprint.of(directory.data_disk),
    )
    kept = msgspec.json.decode(made.read_bytes(), type=boot_checkpoint.CheckpointManifest)
    kept = msgspec.structs.replace(kept, files=saved.fingerprints(directory.boot_checkpoint))
    write_atomic(copied, msgspec.json.encode(suspended))
    write_atomic(made, msgspec.json.encode(kept))


def guest_image() -> Path:
    """The image that `./dev test` built; builds it if it is missing. `tests/channels.py` has the
    suite use others."""
    from engine.guest.build import build
    from engine.guest.channels import Channel

    images = Path(os.environ.get("GALLEY_TEST_IMAGES") or find_home().images)
    channel = Channel(os.environ.get("GALLEY_TEST_CHANNEL") or Channel.STABLE)
    return build(images, channel=channel, progress=print)


def link_image(folder: Path) -> Path:
    """A new folder of images with that one alone: a new machine prefers another channel."""
    folder.mkdir()
    made = guest_image()
    (folder / made.name).symlink_to(made)
    return folder
