"""Updates the window's translations: `python -m tests.texts`, also `./dev texts [NEW]`.

lupdate finds the texts in the source and notes in each `assets/i18n/*.ts` which are new
("unfinished"); lrelease compiles the file to the `.qm` that the window loads. lupdate finds calls
of `tr` and `plural`; texts that are data (settings, checks, messages of the engine) are written to
a file of such calls for it. `tests/unit/desktop/i18n/test_text.py` fails if this was not run.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from desktop.i18n.text import ENGINE, FOLDER
from engine.diagnose.run import CHECKS
from engine.messages import catalogue
from engine.settings.schema import schema
from engine.settings.setting import HostSize, Topic

ROOT = Path(__file__).parent.parent
LUPDATE = (
    *("-silent", "-no-obsolete", "-sort-messages", "-locations", "none"),
    *("-source-language", "en", "-tr-function-alias", "tr+=plural"),
)


def data_texts() -> Iterator[str]:
    """Texts of the window that are data elsewhere."""
    for setting in schema(HostSize(cpus=4, memory=8 * 1024**3)):
        yield from filter(None, (setting.label, setting.help, setting.needs_restart))
    yield from (topic.value for topic in Topic)
    yield from (check.title for check in CHECKS)


def calls() -> Iterator[str]:
    """Calls that lupdate finds: texts that are data, and messages of the engine."""
    yield from (f"tr({_quoted(text)})" for text in data_texts())
    for message in catalogue().values():
        numbered = f", {_quoted(message.one)}, 1" if message.one else ""
        yield f'translate("{ENGINE}", {_quoted(message.summary)}{numbered})'
        if message.hint:
            yield f'translate("{ENGINE}", {_quoted(message.hint)})'


def update(*languages: Path) -> None:
    """Adds new texts to these `.ts` files, removes unused ones, and compiles the files."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data.py")
        data.write_text("\n".join(calls()), encoding="utf-8")
        files = [data, *sorted((ROOT / "desktop").rglob("*.py"))]
        every = Path(folder, "files")
        every.write_text("\n".join(map(str, files)), encoding="utf-8")
        for language in languages:
            given = ("-target-language", language.stem, "-ts", str(language))
            _run("pyside6-lupdate", *LUPDATE, f"@{every}", *given)
    for language in languages:
        _run("pyside6-lrelease", "-silent", str(language), "-qm", str(language.with_suffix(".qm")))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _run(program: str, *words: str) -> None:
    subprocess.run([str(Path(sys.executable).with_name(program)), *words], check=True)


if __name__ == "__main__":
    update(*sorted({*FOLDER.glob("*.ts"), *(FOLDER / f"{code}.ts" for code in sys.argv[1:])}))
