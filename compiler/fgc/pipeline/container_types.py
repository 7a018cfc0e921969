"""Lists and mappings in a configuration, and annotations like `list[int]` and `dict[str, X]`: which item does not fit.

Any doubt is in favour of the value: a text is a sequence of texts, and a name that is not known may be anything.
"""

import ast
from collections.abc import Iterator, Sequence

from msgspec import Struct

from fgc.ir import DictNode, Graph, ListNode, Literal, Node, NodeId
from fgc.pipeline.literal_types import excluded_by, plain_types

_SEQUENCES = {"list", "List", "Sequence", "MutableSequence", "Collection", "Iterable", "tuple", "Tuple"}
_MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping"}


class Misfit(Struct, frozen=True):
    """A value that an annotation has no room for, and what it is."""

    node_id: NodeId
    is_what: str


def misfits(annotation: str | None, graph: Graph, node_id: NodeId) -> Sequence[Misfit]:
    """The innermost values that the annotation excludes."""
    try:
        return [*_Fitting(graph).inside(ast.parse(annotation or "", mode="eval").body, node_id)]
    except (SyntaxError, ValueError, RecursionError):
        return []


class _Fitting(Struct, frozen=True):
    graph: Graph

    def inside(self, annotation: ast.expr, node_id: NodeId) -> list[Misfit]:
        text, node = ast.unparse(annotation), self.graph[node_id]
        if plain_types(text):
            problem = excluded_by(text, node)
            return [] if problem is None else [Misfit(node_id, problem)]
        match annotation:
            case ast.Constant(value=str(quoted)):
                return [*misfits(quoted, self.graph, node_id)]
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._any_of([left, right], node_id)
            case ast.Subscript(value=owner, slice=inner) if _last(owner) == "Optional":
                return self.inside(inner, node_id)
            case ast.Subscript(value=owner, slice=ast.Tuple(elts=parts)) if _last(owner) == "Union":
                return self._any_of(parts, node_id)
            case ast.Subscript(value=owner, slice=inner):
                return self._container(_last(owner), inner, node_id)
            case ast.Name() | ast.Attribute():
                return self._container(_last(annotation), None, node_id)
            case _:
                return []

    def _any_of(self, parts: Sequence[ast.expr], node_id: NodeId) -> list[Misfit]:
        found = [self.inside(part, node_id) for part in parts]
        if not all(found):
            return []
        deeper = [items for items in found if any(item.node_id != node_id for item in items)]
        return deeper[0] if len(deeper) == 1 else found[0]

    def _container(self, name: str, inner: ast.expr | None, node_id: NodeId) -> list[Misfit]:
        node = self.graph[node_id]
        kind = _kind(node)
        if name in _MAPPINGS and kind is not None:
            return [Misfit(node_id, kind)]
        if name in _SEQUENCES and kind == "a number":
            return [Misfit(node_id, kind)]
        pairs = [] if inner is None else self._pairs(name, inner, node)
        return [misfit for annotation, item in pairs for misfit in self.inside(annotation, item)]

    def _pairs(self, name: str, inner: ast.expr, node: Node) -> Iterator[tuple[ast.expr, NodeId]]:
        match node, inner:
            case DictNode(entries=entries), ast.Tuple(elts=[_, value]) if name in _MAPPINGS:
                yield from ((value, entry.value) for entry in entries)
            case ListNode(items=items), ast.Tuple(elts=[item, ast.Constant(value=last)]) if last is ...:
                yield from ((item, child) for child in items)
            case ListNode(items=items), ast.Tuple(elts=parts) if name in ("tuple", "Tuple"):
                yield from zip(parts, items, strict=False) if len(parts) == len(items) else ()
            case ListNode(items=items), _ if name in _SEQUENCES:
                yield from ((inner, child) for child in items)
            case _:
                pass


def _kind(node: Node) -> str | None:
    """What a value surely is beside a mapping; truth values and None are left to the library."""
    match node:
        case ListNode():
            return "a list"
        case Literal(value=str()):
            return "a text"
        case Literal(value=bool()):
            return None
        case Literal(value=int() | float()):
            return "a number"
        case _:
            return None


def _last(node: ast.expr) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))
