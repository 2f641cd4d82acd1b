"""Recreates a container with changes; on failure the old one is restored. Next: `containers.py`.

Docker cannot change ports, mounts or the environment of a container; it can only make another one.

    stop the old one, rename it                from here on, a failure restores it
    create the new one under its name          from the old one's own configuration
    start it, check that it keeps running
    remove the old one                         its volumes stay, the new one has them

The old configuration is what dockerd returns, and only the differences between the old and the new
RunSpec are applied: labels, aliases, health checks and all else stay.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from engine.docker.cancel import Cancel
from engine.docker.containers import Containers
from engine.docker.run_spec import (
    Json,
    bind_mount,
    binding,
    bound_ports,
    key,
    listed_mount,
    mount_entry,
    nano_cpus,
    tmpfs_mount,
)
from engine.docker.streams import logs
from engine.docker.types import ContainerDetail, Mount, RunSpec
from engine.messages.docker import (
    RECREATE_ENDED_AT_ONCE,
    RECREATE_ENGINE_ENDED,
    RECREATE_FAILED,
    RECREATE_NOT_PUT_BACK,
    RECREATE_REMOVED_AT_STOP,
)
from vm.errors import Cancelled, EngineRefused, EngineUnreachable, GalleyError, ObjectGone

ASIDE = "-galley-old"
STEADY_SECONDS = 1.5  # a container that runs this long has started


def recreate(containers: Containers, container: str, spec: RunSpec) -> str:
    """The new container's id. Uses ports, env, mounts, memory, cpus and restart of `spec`.

    It runs then, whether the old one did or not. Raises EngineRefused; then the old one is
    unchanged.
    """
    old = containers.raw(container)
    name = old["Name"].lstrip("/")
    if old["HostConfig"].get("AutoRemove"):
        raise EngineRefused(
            RECREATE_REMOVED_AT_STOP,
            name=name,
        )
    before = containers.detail(container)
    changed = _changed(containers, old, before.spec, spec)
    undo: list[Callable[[], None]] = []
    try:
        made = _replace(containers, before, changed, undo)
    except GalleyError as error:
        raise _put_back(name, undo, error) from error
    containers.remove(before.id)
    return made


def _replace(
    containers: Containers, old: ContainerDetail, body: Json, undo: list[Callable[[], None]]
) -> str:
    if old.state.is_up:
        undo.append(lambda: containers.start(old.id))
        containers.stop(old.id)
    containers.rename(old.id, old.name + ASIDE)
    undo.append(lambda: containers.rename(old.id, old.name))
    endpoints: Json = body.pop("Endpoints")
    first = dict(list(endpoints.items())[:1])
    made = containers.create_raw({**body, "NetworkingConfig": {"EndpointsConfig": first}}, old.name)
    undo.append(lambda: containers.remove(made, force=True))
    for network, settings in list(endpoints.items())[1:]:  # older engines take one at creation
        asked = {"Container": made, "EndpointConfig": settings}
        containers.wire.post(f"/networks/{network}/connect", asked)
    containers.start(made)
    _see_it_run(containers, made)
    return made


def _see_it_run(containers: Containers, container: str) -> None:
    """Wait until it has run for a moment, or ended with code 0. Raises EngineRefused."""
    enough = Cancel()
    timer = threading.Timer(STEADY_SECONDS, enough.set)
    timer.start()
    try:  # answered when it ends; its state may be "restarting" by then
        answer = b"".join(
            containers.wire.chunks(f"/containers/{container}/wait", enough, {}, "POST")
        )
    except Cancelled:
        return
    finally:
        timer.cancel()
    if not answer:  # dockerd has ended
        raise EngineUnreachable(RECREATE_ENGINE_ENDED)
    code = msgspec.json.decode(answer, type=_Ended).StatusCode
    if code:
        last = logs(containers, container, Cancel(), follow=False, tail=20)
        text = "\n".join(line.text for batch in last for line in batch)
        raise EngineRefused(RECREATE_ENDED_AT_ONCE, code=code, details=text)


class _Ended(msgspec.Struct):
    StatusCode: int


def _put_back(name: str, undo: list[Callable[[], None]], error: GalleyError) -> EngineRefused:
    """Undo what was done, newest first. Returns the error to raise."""
    failures = []
    for step in reversed(undo):
        try:
            step()
        except ObjectGone:
            continue  # there is nothing left to undo
        except GalleyError as failure:
            failures.append(failure.summary)
    if failures:
        details = "\n".join([*failures, error.details])
        aside = f"{name}{ASIDE}"
        return EngineRefused(
            RECREATE_NOT_PUT_BACK, name=name, aside=aside, error=error, details=details
        )
    return EngineRefused(
        RECREATE_FAILED, name=name, error=error, hint=error.hint_text, details=error.details
    )


# The new configuration


def _changed(containers: Containers, old: Json, before: RunSpec, after: RunSpec) -> Json:
    """The body that creates the new one, and `Endpoints`: its networks, the main one first."""
    config, host = dict(old["Config"]), dict(old["HostConfig"])
    config["Image"] = _image(containers, old)
    config["Env"] = _env(config.get("Env") or [], before.env, after.env)
    if config.get("Hostname") == old["Id"][:12]:
        config["Hostname"] = ""  # it was named after the old one
    _change_ports(config, host, before, after)
    _change_mounts(host, old.get("Mounts") or [], before, after)
    _change_limits(host, before, after)
    if host["NetworkMode"].startswith("container:"):  # which has name and ports from that one
        config |= {"Hostname": "", "ExposedPorts": {}}
    elif host["NetworkMode"] == "host" or host.get("UTSMode") == "host":
        config["Hostname"] = ""
    return {**config, "HostConfig": host, "Endpoints": _endpoints(old)}


def _image(containers: Containers, old: Json) -> str:
    """The name it was run by, unless that means another image by now."""
    name: str = old["Config"]["Image"]
    now = containers.image(name)
    return name if now and now["Id"] == old["Image"] else str(old["Image"])


def _env(own: list[str], before: tuple[str, ...], after: tuple[str, ...]) -> list[str]:
    """Variables that the spec drops are removed, its new ones replace; the image's others stay."""
    kept = [one for one in own if one not in before or one in after]
    new = [one for one in after if one not in kept]
    replaced = {one.partition("=")[0] for one in new}
    return [one for one in kept if one.partition("=")[0] not in replaced] + new


def _change_ports(config: Json, host: Json, before: RunSpec, after: RunSpec) -> None:
    removed = set(before.ports) - set(after.ports)
    added = [port for port in after.ports if port not in before.ports]
    bindings: dict[str, list[Json]] = {}
    for port, name, entry in bound_ports(host):
        if port not in removed:
            bindings.setdefault(name, []).append(entry)
    exposed = dict(config.get("ExposedPorts") or {})
    for port in removed:
        exposed.pop(key(port), None)
    for port in added:
        if port.host_port:
            bindings.setdefault(key(port), []).append(binding(port))
    exposed |= {name: {} for name in [*bindings, *map(key, added)]}
    host["PortBindings"], config["ExposedPorts"] = bindings, exposed


def _change_mounts(host: Json, mounted: list[Json], before: RunSpec, after: RunSpec) -> None:
    removed = set(before.mounts) - set(after.mounts)
    added = [mount for mount in after.mounts if mount not in before.mounts]
    tmpfs = (host.get("Tmpfs") or {}).items()
    host["Binds"] = [one for one in host.get("Binds") or () if bind_mount(one) not in removed]
    host["Mounts"] = [one for one in host.get("Mounts") or () if listed_mount(one) not in removed]
    host["Tmpfs"] = {path: how for path, how in tmpfs if tmpfs_mount(path, how) not in removed}
    taken = {mount.target for mount in (*before.mounts, *after.mounts)}
    host["Mounts"] += map(mount_entry, [*added, *_anonymous(mounted, taken)])


def _anonymous(mounted: Iterable[Json], taken: set[str]) -> Iterable[Mount]:
    """Anonymous volumes of the image: they have the data."""
    for entry in mounted:
        if entry["Type"] == "volume" and entry["Destination"] not in taken:
            yield Mount("volume", entry["Name"], entry["Destination"], not entry.get("RW", True))


def _change_limits(host: Json, before: RunSpec, after: RunSpec) -> None:
    if after.memory != before.memory:
        host |= {"Memory": after.memory, "MemorySwap": 0}  # twice the memory, Docker's rule
    if after.cpus != before.cpus:
        host |= {"NanoCpus": nano_cpus(after.cpus), "CpuQuota": 0, "CpuPeriod": 0}
    if after.restart != before.restart:
        host["RestartPolicy"] = {"Name": after.restart}


def _endpoints(old: Json) -> Json:
    """Its networks with their configuration, without the assigned addresses."""
    host = old["HostConfig"]
    mode = "bridge" if host["NetworkMode"] == "default" else host["NetworkMode"]
    if mode in ("host", "none") or mode.startswith("container:"):
        return {}
    networks: dict[str, Any] = (old.get("NetworkSettings") or {}).get("Networks") or {}

    def is_other(item: tuple[str, Any]) -> bool:
        return mode not in (item[0], item[1].get("NetworkID"))

    short = old["Id"][:12]  # an alias that Docker adds by itself
    return {
        name: {
            "IPAMConfig": at.get("IPAMConfig"),
            "Links": at.get("Links"),
            "Aliases": [alias for alias in at.get("Aliases") or () if alias != short] or None,
            "DriverOpts": at.get("DriverOpts"),
        }
        for name, at in sorted(networks.items(), key=is_other)
    }
