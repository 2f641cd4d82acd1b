"""Computes how a container is made, from Docker's JSON.

Plain values and functions, without requests or painting. Next: `tab.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from desktop.i18n.text import plural, short_id, tr
from engine.docker.types import (
    Change,
    ContainerDetail,
    ContainerProcess,
    EngineInfo,
    ImageDetail,
    Layer,
    Namespace,
)

KINDS = ("pid", "net", "mnt", "uts", "ipc", "user", "cgroup")
MOST_SHEETS = 6  # of the image, above which the lowest are drawn as one
HOST, OWN, SHARED, UNKNOWN = "host", "own", "shared", "unknown"
JOINS = "container:"


@dataclass(frozen=True)
class Sheet:
    """A layer as it is drawn, or several small ones. `mark`: what stands on it."""

    mark: str
    title: str
    note: str
    tip: str
    writable: bool = False


@dataclass(frozen=True)
class Space:
    """A namespace. `relation`: own, shared, host or unknown; `others`: names that share it."""

    kind: str
    relation: str
    value: str
    others: tuple[str, ...] = ()
    inode: int = 0


@dataclass(frozen=True)
class Branch:
    """A process in the tree, and its prefix."""

    lead: str
    process: ContainerProcess


# Layers


def sheets(
    detail: ContainerDetail,
    image: ImageDetail | None,
    changes: Sequence[Change] | None,
    say_size: Callable[[float], str],
) -> list[Sheet]:
    """From the writable layer down."""
    files = tr("changes unknown")
    if changes is not None:
        files = plural("%n files changed", "%n file changed", len(changes))
    known = f" · {say_size(detail.size_rw)}" if detail.size_rw >= 0 else ""
    top = Sheet(
        tr("read-write"), tr("writable"), files + known,
        tr("Data in the container's writable layer. It is deleted with the container."),
        writable=True,
    )  # fmt: skip
    return [top, *_image_sheets(image, say_size)]


def _image_sheets(image: ImageDetail | None, say_size: Callable[[float], str]) -> list[Sheet]:
    if image is None:
        return []
    layers = [layer for layer in image.layers if layer.diff_id or layer.size]
    count = len(layers)
    below = layers[MOST_SHEETS - 1 :] if count > MOST_SHEETS else []
    alone = layers[: count - len(below)]
    found = []
    for number, layer in enumerate(alone):
        title = _title(layer) or tr("layer {n}", n=count - number)
        found.append(Sheet(f"#{count - number}", title, say_size(layer.size), layer.instruction))
    if below:
        names = [_title(layer) for layer in below]
        based = next((tag for layer in below for tag in layer.tags), "") or names[-1]
        more = plural("%n layers", "%n layer", len(below))
        size = say_size(sum(layer.size for layer in below))
        found.append(Sheet(f"#1–{len(below)}", based, f"{size} · {more}", "\n".join(names)))
    return found


def _title(layer: Layer) -> str:
    return layer.tags[0] if layer.tags else " ".join(layer.instruction.split())


# Namespaces


def spaces(
    detail: ContainerDetail,
    inodes: Iterable[Namespace],
    info: EngineInfo | None,
    names: Mapping[str, str],
    joined: Mapping[str, Sequence[str]],
    same: Mapping[str, Sequence[str]],
) -> list[Space]:
    """`names`: containers by id; `joined`: by kind, containers configured to join these namespaces;
    `same`: by kind, containers whose namespace has the same inode."""
    modes = dict(detail.modes)
    numbers = {one.kind: one.inode for one in inodes}
    remapped = info is not None and any("userns" in one for one in info.security)
    found = []
    for kind in KINDS:
        mode = modes.get(kind, "")
        inode = numbers.get(kind, 0)
        others = tuple(dict.fromkeys((*joined.get(kind, ()), *same.get(kind, ()))))
        if mode.startswith(JOINS):
            others = tuple(dict.fromkeys((_named(mode.removeprefix(JOINS), names), *others)))
            relation = SHARED
        elif mode == "host" or (kind == "user" and not remapped and not mode):
            relation, others = HOST, ()
        else:
            relation = SHARED if others else OWN
        found.append(
            Space(kind, relation, _space_value(kind, relation, detail, inode), others, inode)
        )
    return found


def _named(reference: str, names: Mapping[str, str]) -> str:
    for key, name in names.items():
        if key.startswith(reference) or name == reference:
            return name
    return short_id(reference)


def _space_value(kind: str, relation: str, detail: ContainerDetail, inode: int) -> str:
    if relation in (OWN, SHARED):
        if kind == "net":
            addresses = [address for _, address in detail.addresses if address]
            if addresses:
                return addresses[0]
            if dict(detail.modes).get("net") == "none":
                return tr("no network")
        if kind == "uts" and detail.hostname:
            return detail.hostname
    return str(inode) if inode else ""


def relation_word(space: Space) -> str:
    match space.relation:
        case "host":
            return tr("host")
        case "shared":
            return tr("shared")
        case "own":
            return tr("own")
    return tr("unknown")


# Processes


def tree(processes: Sequence[ContainerProcess]) -> list[Branch]:
    """Parents before their children, with the lines that join them."""
    known = {one.pid for one in processes}
    children: dict[int, list[ContainerProcess]] = {}
    for one in processes:
        parent = one.parent if one.parent in known and one.parent != one.pid else 0
        children.setdefault(parent, []).append(one)
    found: list[Branch] = []
    # (process, what is before it, what is before its children), the next one last
    waiting = [(one, "", "") for one in reversed(children.get(0, []))]
    while waiting:
        process, lead, below = waiting.pop()
        found.append(Branch(lead, process))
        own = children.get(process.pid, [])
        for number, child in reversed(list(enumerate(own))):
            last = number == len(own) - 1
            joint, line = ("└ ", "  ") if last else ("├ ", "│ ")
            waiting.append((child, below + joint, below + line))
    return found


# Security

DEFAULT_CAPABILITIES = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip


def capabilities(detail: ContainerDetail) -> tuple[str, ...] | None:
    """The capabilities of its processes; None for all."""
    added = {one.removeprefix("CAP_") for one in detail.capabilities_added}
    dropped = {one.removeprefix("CAP_") for one in detail.capabilities_dropped}
    if detail.privileged or ("ALL" in added and not dropped):
        return None
    start = set() if "ALL" in dropped else set(DEFAULT_CAPABILITIES)
    return tuple(sorted((start | added) - (dropped - added) - {"ALL"}))


def seccomp(detail: ContainerDetail, info: EngineInfo | None) -> str:
    given = [one.partition("=")[2] for one in detail.security if one.startswith("seccomp")]
    if detail.privileged or "unconfined" in given:
        return tr("off")
    if given:
        return tr("a profile of its own")
    has_it = info is None or any("seccomp" in one for one in info.security)
    return tr("default") if has_it else tr("not available")


def app_armor(detail: ContainerDetail, info: EngineInfo | None) -> str:
    if detail.app_armor:
        return detail.app_armor
    has_it = info is None or any("apparmor" in one for one in info.security)
    return tr("off") if has_it else tr("not available")


def security_line(detail: ContainerDetail, info: EngineInfo | None) -> str:
    held = capabilities(detail)
    parts = [
        tr("seccomp {profile}", profile=seccomp(detail, info)),
        tr("AppArmor {profile}", profile=app_armor(detail, info)),
        tr("all capabilities")
        if held is None
        else plural("%n capabilities", "%n capability", len(held)),
        tr("privileged") if detail.privileged else tr("not privileged"),
    ]
    return " · ".join(parts)


def security_rows(detail: ContainerDetail, info: EngineInfo | None) -> list[tuple[str, str]]:
    held = capabilities(detail)
    rows = [
        (tr("Runtime"), detail.runtime or tr("default")),
        (tr("User"), detail.spec.user or tr("default of the image, or root")),
        (tr("Root file system"), tr("read-only") if detail.read_only else tr("writable")),
        (tr("Privileged"), tr("yes") if detail.privileged else tr("no")),
        (tr("seccomp"), seccomp(detail, info)),
        (tr("AppArmor"), app_armor(detail, info)),
        (tr("Capabilities"), tr("all") if held is None else ", ".join(held) or tr("none")),
    ]
    if detail.capabilities_added:
        rows.append((tr("Added"), ", ".join(detail.capabilities_added)))
    if detail.capabilities_dropped:
        rows.append((tr("Dropped"), ", ".join(detail.capabilities_dropped)))
    if any(one.startswith("no-new-privileges") for one in detail.security):
        rows.append((tr("New privileges"), tr("cannot be gained")))
    return rows
