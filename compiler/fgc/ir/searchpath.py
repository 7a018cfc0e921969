"""The folders of a `submodule_searchpath`, as they are now, with the places where they were written."""

from fgc.ir.graph import Graph
from fgc.ir.nodes import Deferred, ListNode, Literal, NodeId
from fgc.text import Origin


def searchpath(graph: Graph, node_id: NodeId | None) -> tuple[tuple[str, Origin], ...]:
    """The texts in a search path node, in order; None has none."""
    node = None if node_id is None else graph[node_id]
    match node:
        case ListNode():
            return tuple(found for item in node.items for found in searchpath(graph, item))
        case Literal(value=str(folder)) | Deferred(text=folder):
            return ((folder, node.origin),)
        case _:
            return ()
