"""A process that acts as a supervisor and is killed at one moment of a suspend or a resume.

    python -m tests.contract.dying_supervisor IMAGE saving|resuming NUMBER

It uses the machine of GALLEY_HOME, which runs (`saving`) or is suspended (`resuming`).
"""

import os
import signal
import sys
from functools import partial

from tests.contract.conftest import Bench
from tests.contract.moments import SUSPEND, at
from vm.backends import choose
from vm.directory import MachineDir
from vm.host.paths import find_home, make_home
from vm.types import MachineState


def main() -> None:
    image, way, number = sys.argv[1:]
    bench = Bench(choose("qemu"), MachineDir.of(make_home(find_home())), image)
    bench.open()
    bench.wait_for(lambda: bench.state() in (MachineState.RUNNING, MachineState.STOPPED))
    at(SUSPEND[way][int(number)], partial(os.kill, os.getpid(), signal.SIGKILL), setattr)
    if way == "saving":
        bench.machine.suspend()
    else:
        bench.start()


main()
