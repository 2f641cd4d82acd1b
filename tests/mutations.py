"""Generates the mutants of a Python source, one small change each, for `mutants.py`.

Changed are comparisons, `and` and `or`, `not`, constants, + and -; conditions are forced,
statements and raises dropped, results replaced by None. Unchanged is everything that a test of
behaviour cannot see: sentences (strings with a blank), docstrings, annotations, log lines, keywords
of classes.
"""

import ast
from collections.abc import Iterator

import msgspec

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
DROPPED = (ast.Expr, ast.Raise, ast.AugAssign, ast.Delete)


class Mutant(msgspec.Struct, frozen=True):
    """`start` and `end`: bytes of the UTF-8 source that `new` replaces."""

    source: str
    line: int  # from 1
    start: int
    end: int
    new: str

    @property
    def old(self) -> str:
        return self.source.encode()[self.start : self.end].decode()

    @property
    def source_line(self) -> str:
        return self.source.splitlines()[self.line - 1].strip()

    @property
    def change(self) -> str:
        """The old and the new text, on one line."""
        return f"{' '.join(self.old.split())} → {self.new}"

    def apply(self) -> str:
        """The changed source."""
        data = self.source.encode()
        return (data[: self.start] + self.new.encode() + data[self.end :]).decode()


def mutants_of(source: str) -> list[Mutant]:
    """All mutants, in the order of the file. Raises SyntaxError."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, new in _changes(ast.parse(source)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        found.append(Mutant(source, node.lineno, start, end, new))
    return sorted(found, key=lambda mutant: (mutant.start, mutant.end, mutant.new))


type Changed = ast.expr | ast.stmt


def _changes(node: ast.AST) -> Iterator[tuple[Changed, str]]:
    """The nodes to replace, each with its new text."""
    if isinstance(node, ast.stmt):
        yield from _of_statement(node)
    elif isinstance(node, ast.expr):
        yield from _of_expression(node)
    if isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Constant):
        yield from ((node.test, word) for word in ("True", "False"))
    elif isinstance(node, ast.comprehension):
        yield from ((test, word) for test in node.ifs for word in ("True", "False"))
    for child in _visited(node):
        yield from _changes(child)


def _visited(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params", "format_spec"):
            continue
        if isinstance(node, ast.ClassDef) and name == "keywords":
            continue
        for child in value if isinstance(value, list) else [value]:
            is_text = isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)
            if isinstance(child, ast.AST) and not (is_text or _is_unseen(child)):
                yield child


def _is_unseen(node: ast.AST) -> bool:
    """A docstring, or a log line."""
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant):
        return True
    called = node.value.func if isinstance(node.value, ast.Call) else None
    return isinstance(called, ast.Attribute) and ast.unparse(called.value) == "log"


def _of_statement(node: ast.stmt) -> Iterator[tuple[Changed, str]]:
    is_state = isinstance(node, ast.Assign) and isinstance(
        node.targets[0], ast.Attribute | ast.Subscript
    )
    if isinstance(node, DROPPED) or is_state:
        yield node, "pass"
    elif isinstance(node, ast.Return) and ast.unparse(node) not in ("return", "return None"):
        yield node, "return None"
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub):
        yield node, ast.unparse(ast.AugAssign(node.target, _opposite(node.op), node.value))


def _of_expression(node: ast.expr) -> Iterator[tuple[Changed, str]]:
    match node:
        case ast.Compare():
            for place, op in enumerate(node.ops):
                if type(op) in COMPARISONS:
                    ops = [*node.ops[:place], COMPARISONS[type(op)](), *node.ops[place + 1 :]]
                    yield node, _text(ast.Compare(node.left, ops, node.comparators))
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield node, _text(ast.BoolOp(other, node.values))
        case ast.UnaryOp(op=ast.Not()):
            yield node, _text(node.operand)
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            yield node, _text(ast.BinOp(node.left, _opposite(node.op), node.right))
        case ast.Constant():
            if (changed := _other(node.value)) is not None:
                yield node, repr(changed)


def _opposite(op: ast.operator) -> ast.operator:
    return ast.Sub() if isinstance(op, ast.Add) else ast.Add()


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


def _other(value: object) -> object:
    """Another constant; None for one that stays unchanged."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return None if " " in value else value + "X"
        case bytes():
            return value + b"X"
        case _:
            return None
