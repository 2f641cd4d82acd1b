"""The documents as a test: what they name exists, and ARCHITECTURE.md stays short.

Written like `test_architecture.py`: a rule is a function from a tree (path → text) to complaints,
and is also run on a clean tree and on that tree with its fault planted.
"""

import fnmatch
import posixpath
import re
from collections.abc import Iterator

import pytest

from tests.unit.test_architecture import Rule, Tree, checkout

OVERVIEW, OVERVIEW_BYTES = "ARCHITECTURE.md", 8192
PINS, NOTICES = "installer/requirements.txt", "docs/third-party-notices.md"
SOURCE = (".c", ".h", ".md", ".nft", ".py", ".ts")  # a name that ends so is a file of this tree

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PIN = re.compile(r"^([\w.-]+)==", re.MULTILINE)


def documents(tree: Tree) -> Iterator[tuple[str, str]]:
    """Each page and its text without blocks of code."""
    for path, text in sorted(tree.items()):
        if path.endswith(".md"):
            yield path, _FENCED.sub("", text)


def dead_paths(tree: Tree) -> Iterator[str]:
    """A path in backticks begins at the root, or is the end of one, such as `bridge.py`."""
    for page, text in documents(tree):
        for path in _CODE.findall(text):
            if _is_path(path, tree) and not _exists(path, tree):
                yield f"{page} names {path}, which does not exist"


def _is_path(code: str, tree: Tree) -> bool:
    if not _PATH.fullmatch(code):
        return False
    return _is_rooted(code, tree) or (code.endswith(SOURCE) and code not in SOURCE)


def _is_rooted(path: str, tree: Tree) -> bool:
    """Whether it begins with a folder of the top level."""
    first, slash, _ = path.partition("/")
    return bool(slash) and any(one.startswith(f"{first}/") for one in tree)


def _exists(path: str, tree: Tree) -> bool:
    """As a file or a folder of it; `*` stands for any characters."""
    if _is_rooted(path, tree):
        return any(fnmatch.fnmatch(f"{one}/", f"{path.rstrip('/')}/*") for one in tree)
    return any(fnmatch.fnmatch(f"/{one}", f"*/{path}") for one in tree)


def dead_links(tree: Tree) -> Iterator[str]:
    """A link without a host leads to a file of this tree, relative to its page."""
    for page, text in documents(tree):
        for target in _LINK.findall(text):
            path = target.partition("#")[0]
            if "://" in target or not path:
                continue
            full = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
            if full not in tree and not any(one.startswith(f"{full}/") for one in tree):
                yield f"{page} links to {target}, which does not exist"


def long_overview(tree: Tree) -> Iterator[str]:
    size = len(tree.get(OVERVIEW, "").encode())
    if size > OVERVIEW_BYTES:
        yield f"{OVERVIEW} has {size} bytes, more than {OVERVIEW_BYTES}: move a part to docs/dev"


def _normal(package: str) -> str:
    """The normalized spelling of a package name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", package).lower()


def missing_notices(tree: Tree) -> Iterator[str]:
    named = {_normal(name) for name in _CODE.findall(tree[NOTICES])}
    for package in _PIN.findall(tree[PINS]):
        if _normal(package) not in named:
            yield f"{NOTICES} does not name {package}, which {PINS} installs"


CLEAN: Tree = {
    OVERVIEW: "Start at `engine/bridge/bridge.py`, `bridge.py`, `engine/bridge/`, `docs/*/a.md`.\n"
    "Others: `settings.toml`, `machine/template`, `docker run -v a/b:/c`.\n"
    "```\nengine/old.py\n```\n",
    "docs/dev/a.md": "[up](../../ARCHITECTURE.md#start) [folder](../dev) [here](#a)\n",
    "engine/bridge/bridge.py": "",
    "tests/unit/engine/bridge/gone.py": "",  # ends like a path that FAULTS names
    PINS: "# pins\na.b==1\nc==2\n",
    NOTICES: "`a.b` `c`\n",
}
FAULTS: list[tuple[Rule, str, str]] = [
    (dead_paths, "README.md", "See `engine/bridge/gone.py`.\n"),
    (dead_paths, "README.md", "See `engine/gone`.\n"),
    (dead_paths, "README.md", "See `engine/brid`.\n"),
    (dead_paths, "README.md", "See `ridge.py`.\n"),
    (dead_paths, "README.md", "See `engine/*/gone.py`.\n"),
    (dead_links, "docs/dev/b.md", "See [it](gone.md).\n"),
    (dead_links, "docs/dev/b.md", "See [it](ARCHITECTURE.md).\n"),
    (long_overview, OVERVIEW, "ä" * (OVERVIEW_BYTES // 2 + 1)),
    (missing_notices, PINS, "a.b==1\nd==3\n"),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in FAULTS))


@pytest.mark.parametrize("rule", RULES)
def test_documents_follow(rule: Rule) -> None:
    complaints = list(rule(checkout()))
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_silent_on_a_clean_tree(rule: Rule) -> None:
    assert list(rule(CLEAN)) == []


@pytest.mark.parametrize(("rule", "path", "text"), FAULTS)
def test_rule_finds_a_planted_fault(rule: Rule, path: str, text: str) -> None:
    assert list(rule({**CLEAN, path: text}))
