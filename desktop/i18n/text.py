"""Every text that a person reads goes through `tr` or `plural`.

    tr("Delete {name}?", name="web")          looked up as written, then filled in
    plural("%n containers", "%n container", 3)

A language is a file `assets/i18n/LANGUAGE.ts` of Qt Linguist. `./dev texts` brings it up to date
with lupdate, which finds these calls in the source, and compiles it with lrelease. Messages of the
engine (errors): `messages.py`.
"""

import html
import re
import time
from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QDateTime, QLibraryInfo, QLocale, QObject, QTranslator

CONTEXT = ""  # of the window's own texts: lupdate's for calls of functions
ENGINE = "engine"  # templates of the catalogue (`messages.py`)
FOLDER = Path(__file__).parents[2] / "assets" / "i18n"
SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86400


def tr(source: str, /, **values: object) -> str:
    """The text in the language of the window, with `{name}` replaced by `values`."""
    return _filled_in(QCoreApplication.translate(CONTEXT, source), values)


def plural(many: str, one: str, n: int, /, **values: object) -> str:
    """The text for `n` things, which stands in place of %n. `many` and `one` are the English forms;
    a language has as many as its grammar. lupdate takes `one` for a comment, so that translators
    see both."""
    text = QCoreApplication.translate(CONTEXT, many, one, n)
    if n == 1 and text == many.replace("%n", "1"):  # it is not translated
        text = one.replace("%n", "1")
    return _filled_in(text, values)


def _filled_in(text: str, values: dict[str, object]) -> str:
    return text.format(**values) if values else text


def languages() -> tuple[str, ...]:
    return ("en", *sorted(path.stem for path in FOLDER.glob("*.qm")))


def translator(code: str, parent: QObject | None = None) -> QTranslator | None:
    """The language `code` ("de"); None where there is no such language, as for English."""
    found = QTranslator(parent)
    return found if found.load(code, str(FOLDER)) else None


def install(app: QCoreApplication, code: str) -> None:
    """Show the window in the language `code`; "" is the system's language, if there is a
    translation."""
    wanted = code or QLocale.system().name().split("_")[0]
    language = translator(wanted, app)
    if language is not None:
        QLocale.setDefault(QLocale(wanted))
        own_texts = QTranslator(app)  # Qt's: keys, file dialogs, the menus of fields
        folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
        if own_texts.load(f"qtbase_{wanted}", folder):
            app.installTranslator(own_texts)
        app.installTranslator(language)


def size(number: float) -> str:
    """Bytes in powers of 1024, as in the settings: "0 B", "12.3 MiB", "1.1 GiB"."""
    value, unit = float(number), "B"
    for bigger in ("KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1000:  # four digits are none that can be compared at a glance
            break
        value, unit = value / 1024, bigger
    decimals = 0 if unit == "B" or value >= 100 else 1
    return f"{_number(value, decimals)} {unit}"


def moment(seconds: float) -> str:
    """Day and time in the user's locale."""
    when = QDateTime.fromSecsSinceEpoch(round(seconds))
    here = QLocale()
    if here.language() == QLocale.Language.C:  # "29 11 2026 13:55"
        return when.toString("yyyy-MM-dd HH:mm")
    return here.toString(when, QLocale.FormatType.ShortFormat)


def percent(share: float, decimals: int = 1) -> str:
    """0.012 → "1.2 %"."""
    return f"{_number(100 * share, decimals)} %"


def listing(names: Iterable[str], most: int = 6) -> str:
    """Names with commas; of many the first, and how many more there are."""
    found = list(names)
    if len(found) <= most:
        return ", ".join(found)
    return tr("{names} and {n} more", names=", ".join(found[:most]), n=len(found) - most)


def seconds(value: float) -> str:
    return f"{_number(value, 1 if value < 60 else 0)} s"


def _number(value: float, decimals: int) -> str:
    """PySide takes a whole number for another overload, and refuses it."""
    return QLocale().toString(float(value), "f", decimals)


def age(since: float, now: float | None = None) -> str:
    """How long ago, in the largest unit that fits: "3 d"."""
    passed = max(0.0, (time.time() if now is None else now) - since)
    if not since:
        return ""
    if passed < MINUTE:
        return tr("{n} s", n=int(passed))
    if passed < HOUR:
        return tr("{n} min", n=int(passed // MINUTE))
    if passed < DAY:
        return tr("{n} h", n=int(passed // HOUR))
    if passed < 14 * DAY:
        return tr("{n} d", n=int(passed // DAY))
    if passed < 60 * DAY:
        return tr("{n} wk", n=int(passed // (7 * DAY)))
    if passed < 730 * DAY:
        return tr("{n} mo", n=int(passed // (30 * DAY)))
    return tr("{n} y", n=int(passed // (365 * DAY)))


def natural(text: str) -> tuple[object, ...]:
    """The sort key of a name, so that w2 comes before w10."""
    parts: list[object] = re.split(r"([0-9]+)", text.casefold())
    for place in range(1, len(parts), 2):  # the numbers; a short one is less than a long one
        digits = str(parts[place]).lstrip("0")
        parts[place] = (len(digits), digits)
    return tuple(parts)


def tip(text: str) -> str:
    """A foreign text, of an image, a container or a file, as a tooltip: Qt would interpret markup
    in it, and load what that refers to."""
    if "<" not in text and "&lt;" not in text:  # what Qt looks for
        return text
    return f"<p style='white-space:pre-wrap'>{html.escape(text)}</p>"


def plain(text: str) -> str:
    """The same for a button or a line of a menu, where Qt takes "&" for the key of the next letter.
    A label needs none: its text format is PlainText (`desktop/widgets/basics.py`)."""
    return text.replace("&", "&&")


def short_id(identity: str) -> str:
    """Docker's twelve digits."""
    return identity.removeprefix("sha256:")[:12]
