"""The long-lived objects that every page, dialog and action gets, made in `app.py`.

`WindowApi` is the interface of the window, so that no page imports the window.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from PySide6.QtWidgets import QWidget

from desktop.exit_notifier import ExitNotifier
from desktop.prefs import Prefs
from desktop.session.connection import Connection
from desktop.session.link import Link
from desktop.session.tasks import Tasks
from desktop.stores.engine import EngineStores
from desktop.stores.usage import Usage
from desktop.theme.theme import Theme
from vm.errors import Problem


@dataclass(frozen=True)
class DestructivePrompt:
    """The question before something is deleted. `loses` and `keeps` are sentences. `word` must be
    typed to agree; `choice` labels a checkbox; "" for neither. `names`: all that is deleted, where
    the title has only their number."""

    title: str
    loses: str
    keeps: str
    button: str
    word: str = ""
    choice: str = ""
    names: tuple[str, ...] = ()


type Action = tuple[str, Callable[[], object]]  # a button's text, and what it does


class WindowApi(Protocol):
    """The interface of the window for everything in it."""

    @property
    def widget(self) -> QWidget: ...
    def go(self, page: str, key: str = "", tab: str = "") -> None:
        """Show a page, the detail of `key` in it, a tab of that. Without `key`, the page that is
        shown already goes back to its list."""

    def toast(
        self, title: str, text: str = "", action: tuple[str, Callable[[], object]] | None = None
    ) -> None: ...
    def complain(
        self,
        problem: Problem,
        retry: Callable[[], object] | None = None,
        action: Action | None = None,
    ) -> None: ...
    def run_image(self, ref: str) -> None:
        """Open the Run dialog."""

    def pin(self, card: QWidget) -> None:
        """Keep a card of fixed width at the lower right edge until it is closed."""

    def confirm(self, prompt: DestructivePrompt, then: Callable[[], object]) -> None: ...
    def choose(self, prompt: DestructivePrompt, then: Callable[[bool], object]) -> None:
        """The same; `then` gets whether `prompt.choice` was chosen."""


@dataclass(frozen=True)
class AppContext:
    """The window's long-lived objects, one of each."""

    theme: Theme
    prefs: Prefs
    tasks: Tasks
    link: Link
    connection: Connection
    stores: EngineStores
    usage: Usage
    exit_notifier: ExitNotifier
    window: WindowApi

    def use_scheme(self, choice: str) -> None:
        """Change the colours, and keep the choice: "system", "light" or "dark"."""
        self.prefs.set_text("scheme", choice)
        self.theme.choose(choice)
