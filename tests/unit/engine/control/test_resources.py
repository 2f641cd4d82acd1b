"""Resource use of the machine through the control socket."""

import msgspec

from engine.control.client import ControlClient
from engine.types import MachineUse, Reclaimed


def test_resource_use_and_reclaimed_disk_space_are_returned(client: ControlClient) -> None:
    use = msgspec.json.decode(client.call("use"), type=MachineUse)
    assert (use.memory.containers, use.memory_on_host) == (4, 600)
    assert (use.disk.available, use.disk_on_host) == (20, 800)
    reclaimed = msgspec.json.decode(client.call("disk.reclaim"), type=Reclaimed)
    assert reclaimed == Reclaimed(800, 500)
