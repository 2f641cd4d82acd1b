"""The architecture as a test: each rule reads source text, and no rule imports the product.

A rule is a function from a tree (path → text) to complaints. Every rule is run on this checkout,
on a small clean tree, and on that tree with its fault planted: a rule that cannot fail is no rule.
To change a rule, change it here and say why in the commit. Documents have rules of their own:
`test_documents.py`. import-linter checks layers and cycles of imports (pyproject.toml).
"""

import ast
import fnmatch
import io
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

type Tree = Mapping[str, str]
type Rule = Callable[[Tree], Iterator[str]]

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {
    "pyproject.toml", "desktop", "vm", "engine", "installer", "tests", "assets", "README.md",
    "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md",
    "LICENSE", "docs", "dev", ".ci", ".gitignore",
}  # fmt: skip
PACKAGES = ("vm", "engine", "desktop")
FILE_LINES, FUNCTION_LINES = 400, 60
# What only some places may import; an empty tuple means none. A place is a file or a folder.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "PySide6": ("desktop/",),
    "docker": ("engine/docker/",),
    "paramiko": (
        "vm/guest/ssh.py",
        "vm/guest/ssh_session.py",
        "vm/sftp/server.py",
        "vm/sftp/folder.py",
    ),
    "keyring": ("engine/credentials/keyring.py",),
    "secretstorage": ("engine/credentials/keyring.py",),
    "subprocess": ("vm/host/process.py",),
    "click": ("engine/cli/",),
    "rich": ("engine/cli/",),
    # The window's client of the supervisor. What a user can request is in desktop/actions/.
    "engine.client.launch": (
        "engine/",
        "desktop/session/",
        "desktop/actions/",
        "desktop/stores/machine.py",
    ),
    "socket.AF_UNIX": ("engine/bridge/unix.py", "vm/backends/qemu/qmp.py"),
    "asyncio": (),
    "pickle": (),
}
# Only these may catch every exception: no caller of theirs would report it.
BOUNDARIES = {
    "desktop/session/tasks.py": "Task",
    "engine/control/dispatch.py": "control dispatch",
    "vm/lifecycle/worker.py": "the machine worker",
    "engine/cli/output.py": "the excepthook",
}
# What any module may read of the window's link to the supervisor; actions may use all of it.
LINK_STATE = {"changed", "home", "problem", "auto_suspended", "requested", "state", "status"}
LINK_OWNER = {"open", "close"}  # in app.py, which makes the link
EMPTY_NAMES = {"util", "utils", "helpers", "manager", "managers", "misc", "common"}
# Hosts that serve manuals, standards and bug reports, and no packages, images or programs.
DOCUMENTATION_HOSTS = {
    "bugreports.qt.io", "bugs.debian.org", "bugs.python.org", "bugzilla.kernel.org",
    "containerd.io", "developer.apple.com", "doc.qt.io", "docs.docker.com", "docs.kernel.org",
    "docs.paramiko.org", "docs.python.org", "example.com", "keepachangelog.com",
    "learn.microsoft.com", "lore.kernel.org", "man7.org", "manpages.debian.org",
    "packaging.python.org", "peps.python.org", "semver.org", "spdx.org",
    "specifications.freedesktop.org", "virtio-fs.gitlab.io", "wiki.qemu.org", "www.apache.org",
    "www.qemu.org", "www.rfc-editor.org", "www.w3.org",
}  # fmt: skip
# These also serve programs, so a link has to be to an issue or a change.
BUG_REPORT = re.compile(
    r"github\.com/[\w.-]+/[\w.-]+/(?:issues|pull|discussions)/\d+\b"
    r"|gitlab\.(?:com|freedesktop\.org)/[\w./-]+/-/(?:issues|merge_requests)/\d+\b"
)
THIS_MACHINE = "/" + "work/"  # the parent of the checkout where Galley is developed


# Reading


@cache
def checkout() -> Tree:
    """The text of every file here that git would not ignore."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()]
    ignored += [".git"]
    tree = {}
    for folder, names, files in ROOT.walk():
        names[:] = [name for name in names if not _matches(name, ignored)]
        for name in files:
            path = folder / name
            if not _matches(name, ignored) and path.is_file():
                tree[path.relative_to(ROOT).as_posix()] = path.read_text(errors="replace")
    return tree


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


@cache
def parse(source: str) -> ast.Module:
    return ast.parse(source)


def python(tree: Tree, *tops: str) -> Iterator[tuple[str, ast.Module]]:
    """The parsed modules below `tops`, or all of them."""
    for path, source in sorted(tree.items()):
        is_python = path.endswith(".py") or source.startswith("#!/usr/bin/env python3")
        if is_python and (not tops or path.split("/")[0] in tops):
            yield path, parse(source)


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: str, root: ast.AST) -> Iterator[str]:
    """Every name that is imported, dotted, inside functions too."""
    for node in ast.iter_child_nodes(root):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.split("/")[: -node.level]
                base = ".".join([*package, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        else:
            yield from imports(path, node)


# Rules


def banned_imports(tree: Tree) -> Iterator[str]:
    for path, root in python(tree, *PACKAGES):
        imported = set(imports(path, root))
        attributes = {node.attr for node in ast.walk(root) if isinstance(node, ast.Attribute)}
        for banned, places in ONLY_IN.items():
            owner, _, attribute = banned.rpartition(".")
            hit = any(name == banned or name.startswith(banned + ".") for name in imported)
            hit = hit or bool(owner and attribute in attributes)
            if hit and not path.startswith(places):
                yield f"{path} uses {banned}; allowed in: {', '.join(places) or 'no file'}"


def ceilings(tree: Tree) -> Iterator[str]:
    for path, root in python(tree):
        lines = tree[path].count("\n")
        if lines > FILE_LINES:
            yield f"{path} has {lines} lines, more than {FILE_LINES}"
        for node in ast.walk(root):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    yield f"{path}: {node.name} has {length} lines, more than {FUNCTION_LINES}"


def broad_excepts(tree: Tree) -> Iterator[str]:
    """A handler that ends by raising again does not count, because it swallows nothing."""
    for path, root in python(tree, *PACKAGES):
        found = sum(_swallows_everything(node) for node in ast.walk(root))
        if found > (path in BOUNDARIES):
            yield f"{path}: {found} broad excepts; only one in each of {', '.join(BOUNDARIES)}"


def _swallows_everything(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        last = node.body[-1]
        reraises = isinstance(last, ast.Raise) and last.exc is None
        return not reraises and (node.type is None or _names_everything(node.type))
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "suppress":
        return any(map(_names_everything, node.args))
    return False


def _names_everything(expression: ast.expr) -> bool:
    parts = expression.elts if isinstance(expression, ast.Tuple) else [expression]
    return any(ast.unparse(part) in ("Exception", "BaseException") for part in parts)


def link_verbs(tree: Tree) -> Iterator[str]:
    """Each request of a user to the engine is a function of desktop/actions/, so that every page,
    the tray, the palette and the banner do the same."""
    for path, root in python(tree, "desktop"):
        if path.startswith(("desktop/actions/", "desktop/session/")):
            continue
        allowed = LINK_STATE | (LINK_OWNER if path == "desktop/app.py" else set())
        for node in ast.walk(root):
            if isinstance(node, ast.Attribute) and node.attr not in allowed:
                owner = ast.unparse(node.value).split(".")[-1]
                if owner.removeprefix("_") == "link":
                    yield f"{path}:{node.lineno} uses link.{node.attr}, as only actions may"


def literal_spreads(tree: Tree) -> Iterator[str]:
    """`f(*(a, b))` hides which argument is which. In a list of another program's arguments, such
    as QEMU's, which is no call, it groups a name and its value."""
    for path, root in python(tree, *PACKAGES):
        for node in ast.walk(root):
            arguments = node.args if isinstance(node, ast.Call) else []
            for each in arguments:
                if isinstance(each, ast.Starred) and isinstance(each.value, ast.Tuple | ast.List):
                    yield f"{path}:{each.lineno} spreads {ast.unparse(each.value)} into a call"


def docstrings(tree: Tree) -> Iterator[str]:
    for path, root in python(tree):
        if not ast.get_docstring(root):
            yield f"{path} has no docstring that says what it is for"


def names(tree: Tree) -> Iterator[str]:
    """A module with an empty name collects code that belongs elsewhere."""
    for path, root in python(tree):
        parts = [part.removesuffix(".py") for part in PurePosixPath(path).parts]
        parts += [node.name for node in ast.walk(root) if isinstance(node, ast.ClassDef)]
        for name in parts:
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
            if EMPTY_NAMES & set(words):
                yield f"{path}: the name {name} does not say what is in it"


def top_level(tree: Tree) -> Iterator[str]:
    entries = {path.split("/")[0] for path in tree}
    yield from (f"{name} does not belong at the top level" for name in sorted(entries - TOP_LEVEL))
    yield from (f"{name} is missing" for name in sorted(TOP_LEVEL - entries))


def nothing_left_open(tree: Tree) -> Iterator[str]:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    for path, _ in python(tree):
        for token in tokenize.generate_tokens(io.StringIO(tree[path]).readline):
            if token.type == tokenize.COMMENT and marks.search(token.string):
                yield f"{path}:{token.start[0]}: {token.string}"


def every_test_runs(tree: Tree) -> Iterator[str]:
    """No test is skipped, expected to fail, or sleeps. A bench may sleep: it measures time."""
    banned = {"skip", "skipif", "xfail", "importorskip", "skipTest"}
    for path, root in python(tree, "tests"):
        for node in ast.walk(root):
            if isinstance(node, ast.Attribute) and node.attr in banned:
                yield f"{path}:{node.lineno}: {ast.unparse(node)}"
        used = {ast.unparse(node) for node in ast.walk(root) if isinstance(node, ast.Attribute)}
        if "time.sleep" in used | set(imports(path, root)) and not path.startswith("tests/bench/"):
            yield f"{path} sleeps: wait for the condition instead"


def no_addresses(tree: Tree) -> Iterator[str]:
    """Registries and mirrors are settings of the host; Galley names none of them. Links to
    manuals, standards and bug reports are welcome."""
    address = re.compile(r"\b(?:https?|ftp|git)://(?:[^/\s]*@)?(([A-Za-z0-9.-]+\.[a-z]{2,})\b\S*)")
    for path, text in tree.items():
        for number, line in enumerate(text.splitlines(), 1):
            for rest, host in address.findall(line):
                if host not in DOCUMENTATION_HOSTS and not BUG_REPORT.match(rest):
                    yield f"{path}:{number} names the host {host}"
            if THIS_MACHINE in line:
                yield f"{path}:{number} names a path of the machine it was written on"


# Each rule, and faults that it must find in an otherwise clean tree

LONG_FILE = '"""Long."""\n' + "x = 1\n" * FILE_LINES
LONG_FUNCTION = '"""Long."""\ndef f() -> None:\n' + "    g()\n" * FUNCTION_LINES
CLEAN: Tree = {
    **{name: "" for name in TOP_LEVEL if "." in name},
    **{f"{name}/file": "" for name in TOP_LEVEL - {"dev"} if "." not in name},
    ".ci/run": "",
    "dev": '#!/usr/bin/env python3\n"""Commands."""\nimport subprocess\n',
    "vm/__init__.py": '"""The machine."""\n',
    "vm/types.py": '"""Values."""\nimport enum\n',
    "vm/guest/ssh.py": '"""The way in."""\nimport paramiko\nfrom vm import types\n',
    "engine/__init__.py": '"""The engine."""\n__version__ = "1"\n',
    "engine/a.py": '"""A."""\nfrom engine import __version__\nfrom vm.guest.ssh import dial\n',
    "engine/dockercli/tools.py": '"""T."""\ndef f(docker):\n    return docker.parent\n',
    "engine/b.py": '"""B."""\nfrom engine import a\ntry:\n    a()\nexcept OSError:\n    pass\n',
    "vm/lifecycle/worker.py": '"""M."""\ntry:\n    x()\nexcept Exception as e:\n    report(e)\n',
    "vm/command.py": '"""C."""\nx = run("qemu", *more, *(f(o) for o in p))\ny = [*("-m", "1")]\n',
    "vm/undo.py": '"""U."""\ntry:\n    x()\nexcept BaseException:\n    undo()\n    raise\n',
    "desktop/page.py": '"""P."""\nfrom PySide6 import QtCore\nfrom vm.types import State\n',
    "desktop/app.py": '"""A."""\ndef f(link):\n    link.open()\n    use(link.state)\n',
    "desktop/actions/engine.py": '"""E."""\ndef f(link):\n    link.request()\n',
    "tests/unit/test_a.py": '"""T."""\nURL = "http://localhost:80/ http://example.com/"\n',
    "tests/bench/idle.py": '"""B."""\nimport time\ntime.sleep(60)\n',
    "docs/a.md": "https://www.rfc-editor.org/rfc/rfc9112 https://github.com/a/b/issues/1\n",
}
EVERY_EXCEPT = '"""X."""\ntry:\n    x()\nexcept {}:\n    pass\n'
BYPASSES_ACTIONS = '"""X."""\ndef f():\n    from engine.client.launch import connect_only\n'
SUPPRESS = '"""X."""\nimport contextlib\nwith contextlib.suppress(Exception):\n    x()\n'
FAULTS: list[tuple[Rule, str, str]] = [
    (banned_imports, "engine/new.py", '"""X."""\nimport PySide6.QtCore\n'),
    (banned_imports, "engine/new.py", '"""X."""\ndef f():\n    import docker\n'),
    (banned_imports, "vm/new.py", '"""X."""\nfrom paramiko import Transport\n'),
    (banned_imports, "engine/new.py", '"""X."""\nfrom keyring import core\n'),
    (banned_imports, "engine/new.py", '"""X."""\nfrom subprocess import run\n'),
    (banned_imports, "engine/new.py", '"""X."""\nimport rich.table\n'),
    (banned_imports, "engine/new.py", '"""X."""\nimport socket\nsocket.socket(socket.AF_UNIX)\n'),
    (banned_imports, "engine/new.py", '"""X."""\nfrom socket import AF_UNIX\n'),
    (banned_imports, "vm/new.py", '"""X."""\nimport asyncio\n'),
    (banned_imports, "desktop/pages/new.py", BYPASSES_ACTIONS),
    (ceilings, "vm/new.py", LONG_FILE),
    (ceilings, "tests/new.py", LONG_FUNCTION),
    (ceilings, "dev", "#!/usr/bin/env python3\n" + LONG_FILE),
    (broad_excepts, "vm/new.py", EVERY_EXCEPT.format("Exception")),
    (broad_excepts, "vm/new.py", EVERY_EXCEPT.format("(OSError, BaseException)")),
    (broad_excepts, "vm/new.py", EVERY_EXCEPT.format("").replace(" :", ":")),
    (broad_excepts, "vm/new.py", SUPPRESS),
    (broad_excepts, "vm/lifecycle/worker.py", EVERY_EXCEPT.format("Exception") * 2),
    (link_verbs, "desktop/pages/new.py", '"""X."""\ndef f(app):\n    app.link.retry()\n'),
    (link_verbs, "desktop/tray.py", '"""X."""\ndef f(self):\n    use(self._link.request)\n'),
    (link_verbs, "desktop/new.py", '"""X."""\ndef f(link):\n    link.open()\n'),
    (literal_spreads, "vm/new.py", '"""X."""\nf(*(1, 2), 3)\n'),
    (literal_spreads, "desktop/new.py", '"""X."""\nf(1, g(*["a", *rest]))\n'),
    (docstrings, "vm/new.py", "import enum\n"),
    (docstrings, "tests/__init__.py", ""),
    (names, "vm/utils.py", '"""X."""\n'),
    (names, "vm/path_helpers.py", '"""X."""\n'),
    (names, "engine/misc/a.py", '"""X."""\n'),
    (names, "engine/new.py", '"""X."""\nclass MachineManager:\n    pass\n'),
    (top_level, "setup.cfg", ""),
    (nothing_left_open, "vm/new.py", '"""X."""\nx = 1  # TODO: later\n'),
    (every_test_runs, "tests/new.py", '"""X."""\n@pytest.mark.skipif(True)\ndef test(): ...\n'),
    (every_test_runs, "tests/new.py", '"""X."""\npytest.importorskip("docker")\n'),
    (every_test_runs, "tests/new.py", '"""X."""\nfrom time import sleep\n'),
    (every_test_runs, "tests/new.py", '"""X."""\nimport time\ntime.sleep(1)\n'),
    (no_addresses, "installer/new.toml", f"mirror = {'https'}://deb.example.net/debian\n"),
    (no_addresses, "docs/b.md", f"{'https'}://registry-1.docker.example.org/v2/\n"),
    (no_addresses, "docs/b.md", f"{'https'}://github.com/a/b/releases/download/v1/b.tar.gz\n"),
    (no_addresses, "docs/b.md", f"{'https'}://github.com/a/b/issues\n"),
    (no_addresses, "docs/b.md", f"{'https'}://docs.python.org.example.net/3/\n"),
    (no_addresses, "README.md", f"cd {THIS_MACHINE}main\n"),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in FAULTS))


@pytest.mark.parametrize("rule", RULES)
def test_checkout_follows(rule: Rule) -> None:
    complaints = list(rule(checkout()))
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_silent_on_a_clean_tree(rule: Rule) -> None:
    assert list(rule(CLEAN)) == []


@pytest.mark.parametrize(("rule", "path", "text"), FAULTS)
def test_rule_finds_a_planted_fault(rule: Rule, path: str, text: str) -> None:
    assert list(rule({**CLEAN, path: text}))


def test_a_missing_top_level_entry_is_found() -> None:
    tree = {path: text for path, text in CLEAN.items() if path != "README.md"}
    assert list(top_level(tree)) == ["README.md is missing"]
