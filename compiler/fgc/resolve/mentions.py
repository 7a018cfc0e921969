"""Which names statements mention: Jinja2 makes `loop`, `varargs`, `kwargs` and `caller` only where they are used."""

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from fgc.syntax import ast
from fgc.text import Span


def mentioned_names(body: Iterable[ast.Statement]) -> frozenset[str]:
    """Names that statements read, without those inside blocks, which have a scope of their own."""
    return frozenset(name.name for statement in body for name in _names(statement))


def has_scoped_block(body: Iterable[ast.Statement]) -> bool:
    """Whether a scoped block stands anywhere inside."""
    return any(block.is_scoped for statement in body for block in _blocks(statement))


def _names(node: Any) -> Iterator[ast.Name]:
    if isinstance(node, ast.Name):
        yield node
    elif not isinstance(node, ast.Block):
        for child in children(node):
            yield from _names(child)


def _blocks(node: Any) -> Iterator[ast.Block]:
    if isinstance(node, ast.Block):
        yield node
    for child in children(node):
        yield from _blocks(child)


def children(node: Any) -> Iterator[Any]:
    """The nodes directly inside a node of the syntax tree."""
    if isinstance(node, tuple):
        yield from node
    elif is_dataclass(node) and not isinstance(node, (Span, ast.Run)):
        for field in fields(node):
            value = getattr(node, field.name)
            if isinstance(value, tuple) or is_dataclass(value):
                yield value
