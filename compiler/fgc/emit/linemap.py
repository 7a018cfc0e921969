"""Maps parts of the formatted program to the nodes that they were made from.

The generated statements and the text after Black have the same syntax tree, so walking both at once needs no positions
from before the layout.
"""

import ast
from collections.abc import Callable, Iterator, Sequence

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
from fgc.emit.places import Area
from fgc.ir import NodeId


def node_areas(text: str, tree: ast.Module, functions: Sequence[Define]) -> list[tuple[Area, NodeId]]:
    """Returns the areas of functions' bodies that were made from nodes; an outer area comes before one inside it."""
    walk = _Walk(text)
    by_name = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for function in functions:
        walk.statements(function.body, by_name[function.name].body)
    return walk.found


def value_areas(text: str, tree: ast.Module, functions: Sequence[Define]) -> list[tuple[Area, NodeId]]:
    """Returns the areas of expressions, without the keyword or the variable that they are assigned to."""
    walk = _Walk(text)
    by_name = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for function in functions:
        walk.statements(function.body, by_name[function.name].body)
    return walk.values


def import_areas(
    text: str, tree: ast.Module, node_of: Callable[[str, str], NodeId | None]
) -> list[tuple[Area, NodeId]]:
    """Returns the areas of imported names; `node_of` maps a module and a name in it to a node, "" being the module."""
    columns = Columns(text)
    found = []
    for statement in tree.body:
        for alias in getattr(statement, "names", ()) if isinstance(statement, ast.Import | ast.ImportFrom) else ():
            module, name = (statement.module, alias.name) if isinstance(statement, ast.ImportFrom) else (alias.name, "")
            node = node_of(module or "", name)
            if node is not None:
                found.append((columns.area(alias), node))
    return found


def option_areas(text: str, tree: ast.Module) -> list[tuple[Area, str]]:
    """Returns the areas of `parser.add_argument("--name", ...)`, with the first name of each option."""
    columns = Columns(text)
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="add_argument"), args=[ast.Constant(value=str(name)), *_]):
                found.append((columns.area(node), name))
            case _:
                pass
    return found


class Columns:
    """Converts positions of a tree, with columns in bytes, to areas, with columns in characters."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._is_ascii = text.isascii()

    def area(self, first: ast.AST, last: ast.AST | None = None) -> Area:
        """Returns the area from the beginning of a node to its end, or to that of another."""
        last = first if last is None else last
        line, end_line = getattr(first, "lineno", 1), getattr(last, "end_lineno", 1)
        column, end_column = getattr(first, "col_offset", 0), getattr(last, "end_col_offset", 0)
        return Area(line, self._character(line, column), end_line, self._character(end_line, end_column))

    def _character(self, line: int, offset_bytes: int) -> int:
        if self._is_ascii:
            return offset_bytes + 1
        return len(self._lines[line - 1].encode()[:offset_bytes].decode()) + 1


class _Walk:
    def __init__(self, text: str) -> None:
        self._columns = Columns(text)
        self.found: list[tuple[Area, NodeId]] = []
        self.values: list[tuple[Area, NodeId]] = []

    def statements(self, written: Sequence[Statement], parsed: Sequence[ast.stmt]) -> None:
        assert len(written) == len(parsed), "the laid-out program has other statements than the generated one"
        for statement, node in zip(written, parsed, strict=True):
            match statement, node:
                case Define(), ast.FunctionDef():
                    self._note(statement.node, node)
                    self.statements(statement.body, node.body)
                case Branch(), ast.If():
                    self.statements(statement.body, node.body)
                case ((Assign() | Return() | Evaluate()), (ast.Assign() | ast.Return() | ast.Expr())):
                    assert node.value is not None
                    outer = statement.node if isinstance(statement, Assign) else None
                    self._note(outer, node)
                    self._expression(statement.value, node.value, outer)
                case _:
                    raise AssertionError(f"line {node.lineno} is another statement than the generated one")

    def _note(self, node: NodeId | None, first: ast.AST, last: ast.AST | None = None) -> None:
        if node is not None:
            self.found.append((self._columns.area(first, last), node))

    def _expression(self, written: Expression, parsed: ast.expr, outer: NodeId | None) -> None:
        """Collects the areas of an expression and its parts; `outer` is the node of the enclosing area."""
        own = getattr(written, "node", None)
        if own != outer:
            self._note(own, parsed)
        if own is not None:
            self.values.append((self._columns.area(parsed), own))
        if isinstance(written, Name | Formatted):
            return
        below = list(_children(parsed))
        keywords = {id(item.value): item for item in parsed.keywords} if isinstance(parsed, ast.Call) else {}
        inner = parts(written)
        if isinstance(written, DictDisplay):
            below = [part for pair in _pairs(parsed) for part in pair if part is not None]
        for expression, node in zip(inner, below, strict=bool(inner)):
            keyword = keywords.get(id(node))
            named = getattr(expression, "node", None) if keyword is not None else None
            if keyword is not None and named != own:
                self._note(named, keyword, node)
            self._expression(expression, node, own if named is None else named)


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
