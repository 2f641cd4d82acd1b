"""The fields of a new container and of a recreated one: ports, variables, mounts, limits, restart
policy.

Next: `dialog.py` and `desktop/dialogs/recreate.py`, which use it.
"""

from collections.abc import Callable, Sequence
from typing import cast

import msgspec
from PySide6.QtWidgets import QComboBox, QLineEdit

from desktop.context import AppContext
from desktop.dialogs.form import Field
from desktop.dialogs.run import values
from desktop.dialogs.run.rows import FormRows, MountRow, PortRow, VariableRow
from desktop.dialogs.run.values import Wrong
from desktop.i18n.text import tr
from engine.docker.types import ANY_PORT, ImageDetail, Mount, Port, RunSpec

RESTARTS = ("no", "on-failure", "unless-stopped", "always")


class RunForm:
    """The widgets, which a dialog lays out. `own`: the container that is replaced, whose ports are
    no conflict."""

    def __init__(self, app: AppContext, own: str = "") -> None:
        self._app = app
        self._own = own
        self._exposed: tuple[Port, ...] = ()
        self._image: ImageDetail | None = None
        theme = app.theme
        volumes = list(app.stores.volumes.rows)
        self.ports: FormRows[PortRow] = FormRows(
            tr("Ports"),
            tr("container port → host address and port"),
            tr("Add a port"),
            lambda remove, value: PortRow(theme, remove, cast("Port | None", value)),
        )
        self.env: FormRows[VariableRow] = FormRows(
            tr("Environment variables"),
            "",
            tr("Add a variable"),
            lambda remove, value: VariableRow(theme, remove, cast("str | None", value)),
        )
        self.mounts: FormRows[MountRow] = FormRows(
            tr("Volumes and folders"),
            tr("volume or host path → container path"),
            tr("Add a mount"),
            lambda remove, value: MountRow(theme, remove, cast("Mount | None", value), volumes),
        )
        self.restart_box = QComboBox()
        self.restart_box.addItems(RESTARTS)  # in Docker's own words
        self.restart = Field(tr("Restart policy"), self.restart_box, "")
        self.cpus_line, self.memory_line = QLineEdit(), QLineEdit()
        self.cpus_line.setPlaceholderText(tr("no limit"))
        self.memory_line.setPlaceholderText(tr("no limit"))
        self.cpus = Field(tr("CPU cores"), self.cpus_line, "")
        self.memory = Field(tr("Memory"), self.memory_line, "")

    # Filling

    def fill(self, spec: RunSpec) -> None:
        """Fill in a container's current configuration."""
        self._exposed = tuple(port for port in spec.ports if not port.host_port)
        for port in spec.ports:
            if port.host_port:
                self.ports.add(port)
        for variable in spec.env:
            self.env.add(variable)
        for mount in spec.mounts:
            self.mounts.add(mount)
        known = spec.restart if spec.restart in RESTARTS else "no"
        self.restart_box.setCurrentIndex(RESTARTS.index(known))
        self.cpus_line.setText(f"{spec.cpus:g}" if spec.cpus else "")
        self.memory_line.setText(values.memory_text(spec.memory))

    def prefill(self, image: ImageDetail | None) -> None:
        """Fill in an image's defaults, instead of those of the image before."""
        self._image = image
        for rows in (self.ports, self.env, self.mounts):
            rows.forget_given()
        if image is None:
            return
        for port in image.ports:
            given = msgspec.structs.replace(port, host_port=ANY_PORT)
            self.ports.add(given, given=True)
        for variable in image.env:
            self.env.add(variable, given=True).fix()
        for target in image.volumes:
            self.mounts.add(Mount("volume", "", target), given=True)

    # Reading

    def read(self, base: RunSpec) -> RunSpec | None:
        """`base` with the fields; None where one is invalid, which is marked."""
        ports = cast("list[Port] | None", self.ports.read())
        env = cast("list[str] | None", self.env.read())
        mounts = cast("list[Mount] | None", self.mounts.read())
        cpus = taken(self.cpus, values.cores)
        memory = taken(self.memory, values.memory)
        clash = self._ports_clash()
        clash = self._targets_clash() or clash
        if (
            clash
            or ports is None
            or env is None
            or mounts is None
            or cpus is None
            or memory is None
        ):
            return None
        known = {port.container_port for port in ports}
        exposed = [port for port in self._exposed if port.container_port not in known]
        return msgspec.structs.replace(
            base,
            ports=tuple(sorted([*ports, *exposed])),
            env=tuple(env if self._image is None else self._own_env(env, self._image)),
            mounts=tuple(self._own_mounts(mounts)),
            restart=RESTARTS[self.restart_box.currentIndex()],
            cpus=cpus,
            memory=memory,
        )

    @staticmethod
    def _own_env(env: Sequence[str], image: ImageDetail) -> list[str]:
        return [variable for variable in env if variable not in image.env]

    def _own_mounts(self, mounts: Sequence[Mount]) -> list[Mount]:
        """Without the image's anonymous volumes."""
        wanted = self._image.volumes if self._image else ()
        return [mount for mount in mounts if mount.source or mount.target not in wanted]

    def _ports_clash(self) -> bool:
        """Whether a host port is listed twice, or used by another container; marks it."""
        seen: list[Port] = []
        clash = False
        for line in self.ports.lines:
            if line.is_empty or line.is_wrong:
                continue
            port = line.value()
            sentence = self._in_the_way(port, seen)
            if port.host_port > 0 and sentence:
                line.complain(sentence, line.outside)
                clash = True
            seen.append(port)
        return clash

    def _in_the_way(self, port: Port, seen: Sequence[Port]) -> str:
        if any(_same_port(port, other) for other in seen):
            return tr("Port {port} of the host is listed twice.", port=port.host_port)
        for row in self._app.stores.containers.rows.values():
            in_use = row.ports if row.state.is_up and row.id != self._own else ()
            if any(_same_port(port, other) for other in in_use):
                return tr("{name} uses port {port}.", name=row.name, port=port.host_port)
        return ""

    def _targets_clash(self) -> bool:
        seen: set[str] = set()
        clash = False
        for line in self.mounts.lines:
            if line.is_empty or line.is_wrong:
                continue
            target = line.value().target.rstrip("/")
            if target in seen:
                line.complain(tr("Something is mounted there already."), line.target)
                clash = True
            seen.add(target)
        return clash


def taken[Value](field: Field, read: Callable[[str], Value]) -> Value | None:
    """The value of a line; None where it is wrong, which is marked."""
    widget = field.widget
    assert isinstance(widget, QLineEdit)
    field.complain("")
    try:
        return read(widget.text())
    except Wrong as error:
        field.complain(str(error))
        return None


def _same_port(one: Port, other: Port) -> bool:
    everywhere = ("", "0.0.0.0", "::")
    return (
        one.host_port == other.host_port
        and one.protocol == other.protocol
        and (
            one.host_address == other.host_address
            or one.host_address in everywhere
            or other.host_address in everywhere
        )
    )
