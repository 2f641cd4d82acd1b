"""GET /containers/{id}/json as a ContainerDetail.

Next: `run_spec.py`, for the part that says how to run it again.
"""

from engine.docker.run_spec import Json, spec_of
from engine.docker.timestamps import seconds
from engine.docker.types import ContainerDetail, ContainerState

_MODES = {
    "pid": "PidMode",
    "ipc": "IpcMode",
    "uts": "UTSMode",
    "user": "UsernsMode",
    "cgroup": "CgroupnsMode",
    "net": "NetworkMode",
}


def detail(container: Json, image: Json | None) -> ContainerDetail:
    """`image` is the inspected image of the container, None when it is gone."""
    state, config, host = container["State"], container["Config"], container["HostConfig"]
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    driver = container.get("GraphDriver") or {}
    return ContainerDetail(
        id=container["Id"],
        name=container["Name"].lstrip("/"),
        image=config["Image"],
        image_id=container["Image"],
        state=ContainerState(state["Status"]),
        pid=state.get("Pid") or 0,
        started=seconds(state.get("StartedAt")),
        finished=seconds(state.get("FinishedAt")),
        exit_code=state.get("ExitCode") or 0,
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        spec=spec_of(container, image),
        runtime=host.get("Runtime") or "",
        hostname=config.get("Hostname") or "",
        addresses=tuple((name, at.get("IPAddress") or "") for name, at in networks.items()),
        security=tuple(host.get("SecurityOpt") or ()),
        privileged=bool(host.get("Privileged")),
        capabilities_added=tuple(host.get("CapAdd") or ()),
        capabilities_dropped=tuple(host.get("CapDrop") or ()),
        read_only=bool(host.get("ReadonlyRootfs")),
        modes=tuple((kind, host.get(field) or "") for kind, field in _MODES.items()),
        app_armor=container.get("AppArmorProfile") or "",
        cgroup_parent=host.get("CgroupParent") or "",
        pids_limit=max(host.get("PidsLimit") or 0, 0),
        storage_driver=driver.get("Name") or container.get("Driver") or "",
        size_rw=container.get("SizeRw", -1),
        size_root=container.get("SizeRootFs", -1),
    )
