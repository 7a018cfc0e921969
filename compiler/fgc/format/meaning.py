"""A parsed file to what two layouts of one template have in common: its tree without places.

Text counts by its characters and not by how it was cut; text that no document shows does not count.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from msgspec import Struct

from fgc.syntax import ast
from fgc.text import Span

Meaning: TypeAlias = tuple[tuple[str, object], ...]


def meaning_of(file: ast.ParsedFile) -> Meaning:
    """A value that is equal for two files exactly if they are the same templates, laid out differently.

    Lists the nodes of the tree, parents before their parts, each with its kind and its value or its number of parts.
    """
    found: list[tuple[str, object]] = []
    for template in (file.main, *file.parts):
        found += [("template", template.name), *_nodes(tuple(_alive(template.body)))]
    return tuple(found)


def _alive(body: tuple[ast.Statement, ...]) -> list[ast.Statement]:
    """A template's statements without the text behind `extends`."""
    extends = next((index for index, item in enumerate(body) if isinstance(item, ast.Extends)), len(body))
    return [*body[:extends], *(item for item in body[extends:] if not isinstance(item, ast.Text))]


def _nodes(tree: object) -> Iterator[tuple[str, object]]:
    """Yields the kinds of a tree's nodes; trees may be deeper than Python's stack."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if node is None or isinstance(node, str | bool | int | float):
            yield type(node).__name__, node
            continue
        if isinstance(node, tuple):
            parts = _joined(node)
        else:
            assert isinstance(node, Struct), f"the tree holds a {type(node).__name__}"
            values = (getattr(node, name) for name in node.__struct_fields__)
            parts = [value for value in values if not isinstance(value, Span)]
        yield type(node).__name__, len(parts)
        stack += reversed(parts)


def _joined(statements: Iterable[object]) -> list[object]:
    """Statements, with the text between two of them in one piece."""
    found: list[object] = []
    text = ""
    for statement in statements:
        printed = _printed_text(statement)
        if printed is not None:
            text += printed
            continue
        found += [text, statement] if text else [statement]
        text = ""
    return [*found, text] if text else found


def _printed_text(statement: object) -> str | None:
    """The characters of text, and of a printed constant: the line rules write line ends in both ways."""
    if isinstance(statement, ast.Text):
        return "".join(run.text for run in statement.runs)
    if isinstance(statement, ast.Print) and isinstance(statement.value, ast.Const):
        return statement.value.value if isinstance(statement.value.value, str) else None
    return None
