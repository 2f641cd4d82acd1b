"""The messages of the engine, and the catalogue of all. What one is: `vm/messages/__init__.py`.

A code begins with what it is about (`port.in_use`); its constant is the same in capitals. A module
holds those of one area.
"""

from functools import cache

from vm.messages import Message, entries


@cache
def catalogue() -> dict[str, Message]:
    """Every message there is, of `vm` too, by code."""
    from engine.messages import cli, diagnose, docker, engine, feed, guest, host, image, settings
    from vm.messages import guest as vm_guest
    from vm.messages import host as vm_host
    from vm.messages import machine, qemu

    engines = (cli, diagnose, docker, engine, feed, guest, host, image, settings)
    found: dict[str, Message] = {}
    for module in (*engines, vm_guest, vm_host, machine, qemu):
        found |= entries(module)
    return found
