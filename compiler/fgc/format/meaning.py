"""A parsed file to what two layouts of one template have in common: its tree without places.

Text counts by its characters and not by how it was cut; text that no document shows does not count.
"""

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct

from fgc.syntax import ast
from fgc.text import Span

Shape: TypeAlias = "str | int | float | bool | tuple[Shape, ...] | None"


def meaning_of(file: ast.ParsedFile) -> Shape:
    """A value that is equal for two files exactly if they are the same templates, laid out differently."""
    return tuple((template.name, _body(_alive(template.body))) for template in (file.main, *file.parts))


def _alive(body: tuple[ast.Statement, ...]) -> list[ast.Statement]:
    """A template's statements without the text behind `extends`."""
    extends = next((index for index, item in enumerate(body) if isinstance(item, ast.Extends)), len(body))
    return [*body[:extends], *(item for item in body[extends:] if not isinstance(item, ast.Text))]


def _body(statements: Iterable[object]) -> tuple[Shape, ...]:
    found: list[Shape] = []
    text = ""
    for statement in statements:
        printed = _printed_text(statement)
        if printed is not None:
            text += printed
            continue
        found += [text] if text else []
        text = ""
        found.append(_shape(statement))
    return (*found, *([text] if text else []))


def _printed_text(statement: object) -> str | None:
    """The characters of text, and of a printed constant: the line rules write line ends in both ways."""
    if isinstance(statement, ast.Text):
        return "".join(run.text for run in statement.runs)
    if isinstance(statement, ast.Print) and isinstance(statement.value, ast.Const):
        return statement.value.value if isinstance(statement.value.value, str) else None
    return None


def _shape(node: object) -> Shape:
    if node is None or isinstance(node, (str, bool, int, float)):
        return (type(node).__name__, node)
    if isinstance(node, tuple):
        return _body(node)
    assert isinstance(node, Struct), f"the tree holds a {type(node).__name__}"
    values = [getattr(node, name) for name in node.__struct_fields__]
    return (type(node).__name__, *(_shape(value) for value in values if not isinstance(value, Span)))
