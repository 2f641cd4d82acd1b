"""An image's configuration and history, decoded.

The history has the instructions, the configuration the layers, and nothing maps one to the other.
Instructions that changed no file have no layer; the others are in the order of the layers. Next:
`layers.py`, for the content of a layer.
"""

import re
from collections.abc import Iterator

import msgspec

from engine.docker.timestamps import seconds
from engine.docker.types import ImageDetail, Layer, Port


class _Config(msgspec.Struct):
    ports: dict[str, object] | None = msgspec.field(name="ExposedPorts", default=None)
    env: list[str] | None = msgspec.field(name="Env", default=None)
    volumes: dict[str, object] | None = msgspec.field(name="Volumes", default=None)
    command: list[str] | None = msgspec.field(name="Cmd", default=None)
    entrypoint: list[str] | None = msgspec.field(name="Entrypoint", default=None)
    working_dir: str = msgspec.field(name="WorkingDir", default="")
    user: str = msgspec.field(name="User", default="")


class _RootFS(msgspec.Struct):
    layers: list[str] | None = msgspec.field(name="Layers", default=None)


class _Inspected(msgspec.Struct):
    id: str = msgspec.field(name="Id")
    tags: list[str] | None = msgspec.field(name="RepoTags", default=None)
    size: int = msgspec.field(name="Size", default=0)
    created: str | None = msgspec.field(name="Created", default=None)
    os: str = msgspec.field(name="Os", default="")
    architecture: str = msgspec.field(name="Architecture", default="")
    config: _Config | None = msgspec.field(name="Config", default=None)
    root: _RootFS = msgspec.field(name="RootFS", default_factory=_RootFS)


class _Step(msgspec.Struct):
    created_by: str = msgspec.field(name="CreatedBy", default="")
    created: float = msgspec.field(name="Created", default=0.0)
    size: int = msgspec.field(name="Size", default=0)
    tags: list[str] | None = msgspec.field(name="Tags", default=None)
    comment: str = msgspec.field(name="Comment", default="")


def decode(inspected: bytes, history: bytes) -> ImageDetail:
    """From the answers of GET /images/{id}/json and …/history."""
    image = msgspec.json.decode(inspected, type=_Inspected)
    steps = msgspec.json.decode(history, type=list[_Step])
    config = image.config or _Config()
    return ImageDetail(
        id=image.id,
        tags=tuple(image.tags or ()),
        size=image.size,
        created=seconds(image.created),
        os=image.os,
        architecture=image.architecture,
        layers=tuple(_layers(steps, image.root.layers or [])),
        ports=tuple(sorted(_port(text) for text in config.ports or ())),
        env=tuple(config.env or ()),
        volumes=tuple(sorted(config.volumes or ())),
        command=tuple(config.command or ()),
        entrypoint=tuple(config.entrypoint or ()),
        working_dir=config.working_dir,
        user=config.user,
    )


def _layers(steps: list[_Step], diff_ids: list[str]) -> Iterator[Layer]:
    """Newest first, as the history is."""
    made = _makers(steps, len(diff_ids))
    left = list(diff_ids)
    for index, step in enumerate(steps):
        diff_id = left.pop() if index in made and left else ""
        text = instruction(step.created_by) or step.comment
        yield Layer(text, step.size, step.created, diff_id, tuple(step.tags or ()))


def _makers(steps: list[_Step], wanted: int) -> set[int]:
    """Which steps made a layer: those with a size, then those that could have made an empty one.

    An instruction that changes only the configuration (ENV, CMD, …) never makes a layer.
    """
    sized = [index for index, step in enumerate(steps) if step.size]
    others = [i for i, step in enumerate(steps) if not step.size and not _is_config(step)]
    return set((sized + others)[:wanted])


NOTHING_RUN = "/bin/sh -c #(nop)"
CONFIGURES = (
    "ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
    "SHELL", "STOPSIGNAL", "USER", "VOLUME",
)  # fmt: skip


def _is_config(step: _Step) -> bool:
    return instruction(step.created_by).split(" ", 1)[0] in CONFIGURES


def instruction(created_by: str) -> str:
    """As it stood in the Dockerfile, without what the two builders write around it."""
    text = created_by.strip().removesuffix("# buildkit").strip()
    if text.startswith(NOTHING_RUN):
        return text.removeprefix(NOTHING_RUN).strip()
    return re.sub(r"^(RUN )?(\|\d+ .*? )?/bin/sh -c ", "RUN ", text).strip()


def _port(text: str) -> Port:
    number, _, protocol = text.partition("/")
    return Port(int(number.partition("-")[0]), protocol or "tcp")
