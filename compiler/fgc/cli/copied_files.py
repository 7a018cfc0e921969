"""A line of a copied file to the objects of the program that are made of what is defined there."""

import ast
from collections.abc import Iterator

Call = tuple[int, int]  # the line and the column, from 1, at which it begins


def definition_at(text: str, line: int) -> frozenset[str]:
    """The function or class of a file that a line is in, with the classes of the file that inherit from it."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    named = [item for item in body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    found = {item.name for item in named if item.lineno <= line <= (item.end_lineno or item.lineno)}
    for item in named:  # a class stands below its bases
        if isinstance(item, ast.ClassDef) and found & {base.id for base in item.bases if isinstance(base, ast.Name)}:
            found.add(item.name)
    return frozenset(found)


def calls_of(program: str, module: str, names: frozenset[str]) -> list[Call]:
    """Returns where a program calls what it imports from a module, or makes partials of it."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError):
        return []
    known = dict(_imported(tree, module, names))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sorted((call.lineno, call.col_offset + 1) for call in calls if _root(_callee(call)) in known)


def _imported(tree: ast.Module, module: str, names: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yields the names in the program, each with its name in the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == module:
            yield from ((item.asname or item.name, item.name) for item in node.names if item.name in names)


def _callee(call: ast.Call) -> ast.expr:
    """Returns what a call calls, now or later."""
    is_partial = ast.unparse(call.func) in ("partial", "functools.partial") and call.args
    return call.args[0] if is_partial else call.func


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
