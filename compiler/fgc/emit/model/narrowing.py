"""Adds assertions to a generated class for type checkers: a derived field of the configuration is not None.

Such a field is `int | None` in the configuration file, because a user may leave it out; `__post_init__` fills it in
before any class of the modeling file reads it.
"""

import ast
from collections.abc import Collection

import libcst as cst

_OWNERS = ("config", "self.config")


def narrowed(node: cst.ClassDef, derived: Collection[str]) -> cst.ClassDef:
    """Returns the class with an assertion in every method that reads a derived field, before the first read."""
    body = [_method(item, derived) if isinstance(item, cst.FunctionDef) else item for item in node.body.body]
    return node.with_changes(body=node.body.with_changes(body=body))


def _method(node: cst.FunctionDef, derived: Collection[str]) -> cst.FunctionDef:
    if not isinstance(node.body, cst.IndentedBlock):
        return node
    read = [_read(statement, derived) for statement in node.body.body]
    first = next((index for index, names in enumerate(read) if names), None)
    if first is None:
        return node
    fields = dict.fromkeys(name for names in read for name in names)
    asserted = [cst.parse_statement(f"assert {field} is not None\n") for field in fields]
    body = [*node.body.body[:first], *asserted, *node.body.body[first:]]
    return node.with_changes(body=node.body.with_changes(body=body))


def _read(statement: cst.BaseStatement, derived: Collection[str]) -> list[str]:
    """Returns the derived fields that a statement reads, as written, in order."""
    assert isinstance(statement, cst.SimpleStatementLine | cst.BaseCompoundStatement), "a statement"
    tree = ast.parse(cst.Module([statement]).code)
    found = [item for item in ast.walk(tree) if isinstance(item, ast.Attribute) and item.attr in derived]
    found.sort(key=lambda item: (item.lineno, item.col_offset))
    return [ast.unparse(item) for item in found if ast.unparse(item.value) in _OWNERS]
