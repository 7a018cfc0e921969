"""Statements to the nodes in them, and to the names that they mention."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from fgc.syntax import ast

_LEAVES = frozenset(("span", "name", "name_span", "attribute_span", "runs", "operator", "is_negated"))
_CHILD_FIELDS = {
    kind: tuple(name for name in kind.__struct_fields__ if name not in _LEAVES)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, Struct)
}


def mentioned_names(body: Iterable[ast.Statement]) -> frozenset[str]:
    """Names that statements mention, without those inside blocks, which have a scope of their own.

    Jinja2 makes `loop`, `varargs`, `kwargs` and `caller` only where they are mentioned.
    """
    return frozenset(node.name for node in walk(body, into_blocks=False) if isinstance(node, ast.Name))


def has_scoped_block(body: Iterable[ast.Statement]) -> bool:
    """Returns True if a scoped block stands anywhere inside."""
    return any(isinstance(node, ast.Block) and node.is_scoped for node in walk(body))


def walk(nodes: Iterable[Any], *, into_blocks: bool = True) -> Iterator[Any]:
    """Nodes and all that is in them, in written order; nesting may be deeper than Python's stack."""
    stack = list(nodes)[::-1]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack += node[::-1]
        elif type(node) in _CHILD_FIELDS:
            yield node
            if into_blocks or not isinstance(node, ast.Block):
                stack += children(node)[::-1]


def children(node: Any) -> list[Any]:
    """The nodes, and tuples of nodes, directly inside a node."""
    return [getattr(node, name) for name in _CHILD_FIELDS[type(node)]]
