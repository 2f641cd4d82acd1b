"""Codes are unique and match their constants; errors keep code and values across a socket."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.messages import catalogue
from vm.errors import GalleyError, PortInUse, Problem, from_problem
from vm.messages import Message, Text
from vm.messages.host import PORT_HOLDER_HIDDEN, PORT_IN_USE

ROOT = Path(__file__).parents[4]
MODULES = [
    path for part in ("vm", "engine") for path in (ROOT / part / "messages").glob("[a-z]*.py")
]


def messages_by_name() -> dict[str, Message]:
    names = [f"{path.parents[1].name}.messages.{path.stem}" for path in MODULES]
    constants = [vars(importlib.import_module(name)) for name in names]
    return {k: v for module in constants for k, v in module.items() if isinstance(v, Message)}


def test_a_constant_is_its_code_in_capitals() -> None:
    for name, message in messages_by_name().items():
        assert re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", message.code), name
        assert name == message.code.replace(".", "_").upper()


def test_the_catalogue_has_every_module_and_no_duplicate_code() -> None:
    assert set(catalogue()) == {message.code for message in messages_by_name().values()}
    assert len(catalogue()) == sum(path.read_text().count(" = Message(") for path in MODULES)


def test_every_message_is_used() -> None:
    files = [path for part in ("vm", "engine") for path in (ROOT / part).rglob("*.py")]
    trees = [ast.parse(path.read_text()) for path in files if path not in MODULES]
    used = {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not sorted(set(messages_by_name()) - used)


def test_messages_are_defined_in_the_message_modules_only() -> None:
    files = [path for part in ("vm", "engine") for path in (ROOT / part).rglob("*.py")]
    made = [path for path in files if re.search(r"\bMessage\(\s*f?\"", path.read_text())]
    assert sorted(set(made) - {*MODULES, ROOT / "vm/messages/__init__.py"}) == []


def error() -> GalleyError:
    return PortInUse(
        PORT_IN_USE,
        address="::1",
        port=80,
        protocol="tcp",
        holder=PORT_HOLDER_HIDDEN,
        details="EADDRINUSE",
    )


def test_an_error_carries_its_code_and_values() -> None:
    problem = error().to_problem()
    assert problem.code == "port.in_use"
    assert problem.values["port"] == 80
    assert problem.values["holder"] == Text("another program", "port.holder_hidden")
    assert problem.summary == "Port 80/tcp on ::1 is already in use by another program."


def test_an_error_crosses_a_socket_unchanged() -> None:
    problem = error().to_problem()
    sent = msgspec.json.decode(msgspec.json.encode(problem), type=Problem)
    assert sent == problem
    assert from_problem(sent).to_problem() == problem


def test_text_of_another_program_is_not_formatted_as_a_template() -> None:
    problem = Problem("PortInUse", "{port} {0} {", code="x.y", values={"port": 1})
    assert str(from_problem(problem)) == "{port} {0} {"


def test_a_missing_template_value_raises() -> None:
    with pytest.raises(KeyError):
        PortInUse(PORT_IN_USE, port=80)


def placeholders(*templates: str) -> set[str]:
    return {name for one in templates for name in re.findall(r"\{(\w+)(?:[!:][^}]*)?\}", one)}


def uses(
    tree: ast.Module, messages: dict[str, Message]
) -> Iterator[tuple[int, set[str], set[str]]]:
    """Each use of a message: its line, the values passed and the placeholders of the message."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = {word.arg for word in node.keywords if word.arg} - {"details", "retry"}
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="text")):
                if name in messages:
                    yield node.lineno, given, placeholders(messages[name].summary)
            case ast.Call(args=[ast.Name(id=name)]) if name in messages:
                yield node.lineno, given, placeholders(messages[name].summary, messages[name].hint)
            case ast.Call(args=[ast.IfExp(body=ast.Name(id=one), orelse=ast.Name(id=other))]):
                for name in {one, other} & set(messages):
                    wanted = placeholders(messages[name].summary, messages[name].hint)
                    yield node.lineno, given, wanted


def test_every_use_passes_all_values_of_its_message() -> None:
    files = [path for part in ("vm", "engine") for path in (ROOT / part).rglob("*.py")]
    messages, lacking, seen = messages_by_name(), [], 0
    for path in files:
        for line, given, wanted in uses(ast.parse(path.read_text()), messages):
            seen += 1
            if wanted - given:
                lacking.append(f"{path.relative_to(ROOT)}:{line}: {sorted(wanted - given)}")
    assert not lacking, "\n".join(lacking)
    assert seen > 250
