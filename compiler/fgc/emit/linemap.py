"""Lines of the laid-out program to the nodes they were made from.

The statements that were generated and the text that Black laid out have the same tree; walking both at once needs no
positions from before the layout.
"""

import ast
from collections.abc import Iterator, Sequence

from fgc.emit.expression import (
    Assign,
    Branch,
    Define,
    DictDisplay,
    Evaluate,
    Expression,
    Formatted,
    Name,
    Return,
    Statement,
    parts,
)
from fgc.ir import NodeId


def line_nodes(tree: ast.Module, functions: Sequence[Define]) -> dict[int, NodeId]:
    """For each line of a function's body that was made from a node: the first such node that begins there."""
    found: dict[int, NodeId] = {}
    by_name = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for function in functions:
        _statements(function.body, by_name[function.name].body, found)
    return found


def _statements(written: Sequence[Statement], parsed: Sequence[ast.stmt], found: dict[int, NodeId]) -> None:
    assert len(written) == len(parsed), "the laid-out program has other statements than the generated one"
    for statement, node in zip(written, parsed, strict=True):
        first = node.lineno
        match statement, node:
            case Define(), ast.FunctionDef():
                _note(statement.node, first, found)
                _statements(statement.body, node.body, found)
            case Branch(), ast.If():
                _statements(statement.body, node.body, found)
            case ((Assign() | Return() | Evaluate()), (ast.Assign() | ast.Return() | ast.Expr())):
                assert node.value is not None
                if isinstance(statement, Assign):
                    _note(statement.node, first, found)
                _expression(statement.value, node.value, found)
            case _:
                raise AssertionError(f"line {first} is another statement than the generated one")
        _fill(first, node.end_lineno or first, found)


def _fill(first: int, last: int, found: dict[int, NodeId]) -> None:
    """Closing brackets and lines of a string belong to what began above them."""
    for line in range(first, last + 1):
        if line not in found and line - 1 in found and line > first:
            found[line] = found[line - 1]


def _note(node: NodeId | None, line: int, found: dict[int, NodeId]) -> None:
    if node is not None:
        found.setdefault(line, node)


def _expression(written: Expression, parsed: ast.expr, found: dict[int, NodeId]) -> None:
    if not isinstance(written, Name):
        _note(written.node if hasattr(written, "node") else None, parsed.lineno, found)
    if isinstance(written, Name | Formatted):
        return
    below = list(_children(parsed))
    keywords = {id(item.value): item.lineno for item in parsed.keywords} if isinstance(parsed, ast.Call) else {}
    inner = parts(written)
    if isinstance(written, DictDisplay):
        below = [part for pair in _pairs(parsed) for part in pair if part is not None]
    for expression, node in zip(inner, below, strict=bool(inner)):
        line = keywords.get(id(node))
        if line is not None and not isinstance(expression, Name):
            _note(getattr(expression, "node", None), line, found)
        _expression(expression, node, found)


def _children(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Call():
            yield node.func
            yield from node.args
            yield from (keyword.value for keyword in node.keywords)
        case ast.IfExp():
            yield from (node.body, node.test, node.orelse)
        case ast.Lambda():
            yield node.body
        case ast.Starred():
            yield from _children(node.value)
        case _:
            yield from (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))


def _pairs(node: ast.expr) -> Iterator[tuple[ast.expr | None, ast.expr]]:
    assert isinstance(node, ast.Dict)
    yield from zip(node.keys, node.values, strict=True)
