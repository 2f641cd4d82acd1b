"""Run an image: the simple things first, the rest under "More options". Next: `form.py`."""

from functools import partial

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit

from desktop.actions import containers as actions
from desktop.context import AppContext
from desktop.dialogs.form import Field
from desktop.dialogs.run import values
from desktop.dialogs.run.form import RunForm, taken
from desktop.dialogs.run.frame import RunFrame
from desktop.i18n import messages
from desktop.i18n.text import tr
from desktop.theme import icons
from desktop.widgets.basics import button, column, holder, icon_button, row
from desktop.widgets.suggestions import Suggestions
from engine.docker.types import ImageDetail, RunSpec
from vm.errors import Problem

TYPING_MS = 300  # after which a typed image is looked for


class RunDialog(RunFrame):
    def __init__(self, app: AppContext, image: str = "") -> None:
        super().__init__(app.window.widget, tr("Run a container"), tr("Run"))
        self.app = app
        self.form = RunForm(app)
        self._looked_at = ""
        self.image_box = QComboBox(editable=True)
        self.image_box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        tags = [tag for row in app.stores.images.rows.values() for tag in row.tags]
        self.image_box.addItems(sorted(tags))
        image_line = self.image_box.lineEdit()
        assert image_line is not None
        image_line.setCompleter(None)  # type: ignore[arg-type]
        self.suggestions = Suggestions(image_line, sorted(tags))
        self.image_box.setEditText(image)
        self.image = Field(tr("Image"), self.image_box, "")
        self.name_line, self.command_line = QLineEdit(), QLineEdit()
        self.name_line.setPlaceholderText(tr("Docker chooses one"))
        self.name = Field(tr("Name"), self.name_line, "")
        self.command = Field(tr("Command"), self.command_line, "")
        self.network_box = QComboBox()
        self.network = Field(tr("Network"), self.network_box, "")
        self.remove = QCheckBox(tr("Delete the container when it ends"))
        self.terminal = QCheckBox(tr("Open a terminal in it afterwards"))
        self._fill_networks()
        self._lay_out()
        self._timer = QTimer(self, singleShot=True, interval=TYPING_MS)
        self._timer.timeout.connect(self._look)
        self.image_box.editTextChanged.connect(self._image_typed)
        self.image_box.activated.connect(lambda _number: self._look())
        self.remove.toggled.connect(self._removing)
        self._look()
        (self.name_line if image else self.image_box).setFocus()

    @property
    def image_name(self) -> str:
        return self.image_box.currentText().strip()

    def spec(self) -> RunSpec | None:
        """What is asked for; None where something is wrong, which is marked."""
        name = taken(self.name, self._free_name)
        command = taken(self.command, values.command)
        no_image = self.image.complain("" if self.image_name else tr("Which image?"))
        if name is None or command is None or no_image:
            self.form.read(RunSpec(""))  # so that all that is wrong is marked at once
            return None
        terminal = self.terminal.isChecked()
        return self.form.read(
            RunSpec(
                self.image_name,
                name,
                command,
                network=self.network_box.currentData() or "",
                tty=terminal,
                stdin_open=terminal,
                auto_remove=self.remove.isChecked(),
            )
        )

    def submit(self) -> None:
        spec = self.spec()
        if spec is None:
            self._show_wrong()
            return
        self.follow(actions.run(self.app, spec, partial(self._opened, spec.tty), self.refused))

    # Inside

    def _opened(self, terminal: bool, key: str) -> None:
        if terminal and not self.is_left:
            self.app.window.go("containers", key, "terminal")
        self.granted()

    def _free_name(self, text: str) -> str:
        name = values.container_name(text)
        rows = self.app.stores.containers.rows.values()
        if name and any(row.name == name for row in rows):
            raise values.Wrong(tr("There is a container with this name already."))
        return name

    def _image_typed(self, _text: str) -> None:
        self.image.complain("")
        self._timer.start()

    def _look(self) -> None:
        """Ask what the image wants, if it is here."""
        self._timer.stop()
        name = self.image_name
        if name == self._looked_at:
            return
        self._looked_at = name
        if not name:
            self._take(name, None)
            return
        connection = self.app.connection
        self.app.tasks.quietly(
            lambda: connection.client.images.detail(name),
            lambda found: self._take(name, found),
            lambda problem: self._miss(name, problem),
        )

    def _take(self, name: str, image: ImageDetail | None) -> None:
        if self.is_left or name != self.image_name:
            return
        self.form.prefill(image)
        self._say_of_image("")
        words = (*image.entrypoint, *image.command) if image else ()
        self.command_line.setPlaceholderText(" ".join(words))

    def _miss(self, name: str, problem: Problem) -> None:
        if self.is_left or name != self.image_name:
            return
        self.form.prefill(None)
        gone = problem.kind in ("ObjectGone", "EngineRefused")
        words = tr("Not here yet: it is pulled first.") if gone else messages.summary(problem)
        self._say_of_image(words)

    def _say_of_image(self, words: str) -> None:
        self.image.hint = words
        self.image.complain("")

    def _removing(self, removing: bool) -> None:
        """Docker does not restart what it deletes."""
        if removing:
            self.form.restart_box.setCurrentIndex(0)
        self.form.restart_box.setEnabled(not removing)

    def _copy(self) -> None:
        from engine.docker.running import run_command

        spec = self.spec()
        if spec is None:
            self._show_wrong()
            return
        QGuiApplication.clipboard().setText(run_command(spec))
        self.note.setText(tr("Copied"))

    def _show_wrong(self) -> None:
        """Where it is marked; what is folded is opened."""
        hidden = any(
            line.is_wrong for rows in (self.form.env, self.form.mounts) for line in rows.lines
        )
        fields = (self.command, self.form.cpus, self.form.memory)
        if hidden or any(field.widget.property("wrong") for field in fields):
            self._unfold(True)
        wrong = next((one for one in self.findChildren(QLineEdit) if one.property("wrong")), None)
        if wrong is not None:
            wrong.setFocus()
            QTimer.singleShot(0, self, lambda: self.area.ensureWidgetVisible(wrong))

    # How it looks

    def _fill_networks(self) -> None:
        self.network_box.addItem(tr("default"), "")
        for network in self.app.stores.networks.rows.values():
            if network.name != "bridge":
                self.network_box.addItem(network.name, network.name)

    def _lay_out(self) -> None:
        first = row(self.image.layout, self.name.layout, gap=12)
        first.setStretch(0, 3)
        first.setStretch(1, 2)
        for part in (self.image.layout, self.name.layout):
            first.setAlignment(part, Qt.AlignmentFlag.AlignTop)
        form = self.form
        self.more = icon_button(
            self.app.theme, "right", tr("More options"), self._toggle, text=tr("More options")
        )
        limits = row(form.cpus.layout, form.memory.layout, gap=12)
        choices = row(self.network.layout, form.restart.layout, gap=12)
        for pair in (limits, choices):
            pair.setStretch(0, 1)
            pair.setStretch(1, 1)
        for part in (form.cpus.layout, form.memory.layout):
            limits.setAlignment(part, Qt.AlignmentFlag.AlignTop)
        self.rest = holder(
            column(form.mounts, form.env, self.command.layout, choices, limits, gap=16)
        )
        self.rest.hide()
        self.asked.addLayout(first)
        self.asked.addWidget(form.ports)
        self.asked.addLayout(column(self.terminal, self.remove))
        self.asked.addLayout(row(self.more, 1))
        self.asked.addWidget(self.rest)
        self.asked.addStretch(1)
        self.links.addWidget(button(tr("Copy docker run"), self._copy, "link"))

    def _toggle(self) -> None:
        self._unfold(self.rest.isHidden())

    def _unfold(self, opened: bool) -> None:
        self.rest.setVisible(opened)
        name = "down" if opened else "right"
        self.more.setIcon(icons.icon(name, self.app.theme.color("secondary")))
        self.more.setText(tr("Fewer options") if opened else tr("More options"))
        self.more.setAccessibleName(self.more.text())
