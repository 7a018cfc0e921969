"""Renumbers nodes, for a graph that becomes part of another."""

from collections.abc import Callable
from typing import assert_never

from msgspec.structs import replace

from fgc.ir.nodes import Call, Deferred, DictNode, ListNode, Literal, Node, NodeId, Var


def rewired(node: Node, new_id: Callable[[NodeId], NodeId]) -> Node:
    """The node with every mention of another one replaced."""

    def maybe(mention: NodeId | None) -> NodeId | None:
        return None if mention is None else new_id(mention)

    match node:
        case Literal() | Deferred():
            return node
        case ListNode():
            return replace(node, items=tuple(map(new_id, node.items)))
        case DictNode():
            return replace(node, entries=tuple(replace(entry, value=new_id(entry.value)) for entry in node.entries))
        case Call():
            return replace(
                node,
                positional=tuple(map(new_id, node.positional)),
                keywords=tuple(replace(keyword, value=new_id(keyword.value)) for keyword in node.keywords),
                searchpath=maybe(node.searchpath),
                latent=maybe(node.latent),
            )
        case Var():
            return replace(node, default=maybe(node.default))
        case _:
            assert_never(node)
