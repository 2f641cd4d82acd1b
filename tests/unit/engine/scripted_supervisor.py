"""A real supervisor with a scripted engine; `GALLEY_TEST_FAULT` selects a fault.

Tests set `spawn.MODULE` to this module, so that they need no machine and no bridge.
"""

import os
import sys
import threading

from engine.settings.setting import HostSize
from engine.settings.store import SettingsStore
from engine.supervisor import Assembly, main
from tests.unit.engine.control.scripted import ScriptedEngine
from vm.errors import ToolMissing
from vm.host.paths import Home
from vm.messages import Message


def scripted(home: Home) -> Assembly:
    match os.environ.get("GALLEY_TEST_FAULT"):
        case "problem":
            raise ToolMissing(Message("", "There is no QEMU.", "Install it."), details="which qemu")
        case "mistake":
            raise ZeroDivisionError("by a scripted zero")
        case "death":
            sys.stderr.write("a word before the end\n")
            sys.stderr.flush()
            os._exit(3)
        case "hang":
            threading.Event().wait()
        case "thread":
            thread = threading.Thread(target=lambda: 1 / 0, name="scripted thread")
            thread.start()
            thread.join()
    return ScriptedEngine(), SettingsStore(home, HostSize(4, 16 * 2**30))


if __name__ == "__main__":
    sys.exit(main(scripted))
