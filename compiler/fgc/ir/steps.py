"""Steps of a path through a graph: `main.trainer.callbacks[1]`."""

from collections.abc import Iterator
from typing import assert_never

from fgc.ir.builtins import display_type
from fgc.ir.graph import Graph
from fgc.ir.nodes import Call, Deferred, DictNode, ListNode, Literal, NodeId, Var
from fgc.text import Origin


def steps(graph: Graph, node: NodeId) -> Iterator[tuple[str, NodeId, Origin]]:
    """Yields the nodes that a node mentions: the step of the path, the node, and the place of its name or value."""
    value = graph[node]
    match value:
        case ListNode():
            for position, item in enumerate(value.items):
                yield f"[{position}]", item, graph[item].origin
        case DictNode():
            for entry in value.entries:
                yield _key(entry.key), entry.value, entry.origin
        case Call():
            is_display = (
                display_type(value) in (list, tuple) and len(value.positional) == 1
            )  # else a wrong call, whose items would share their paths
            for position, item in enumerate(value.positional):
                yield _position(position, is_display), item, graph[item].origin
            for keyword in value.keywords:
                yield _key(keyword.name), keyword.value, keyword.origin
            if value.latent is not None:
                yield ".latent_args", value.latent, graph[value.latent].origin
        case Var():
            if value.default is not None:
                yield ".default", value.default, graph[value.default].origin
        case Literal() | Deferred():
            return
        case _:
            assert_never(value)


def _position(position: int, is_display: bool) -> str:
    """An argument by its place; the items of `!list` count as its own."""
    return "" if is_display and position == 0 else f"[{position}]"


def _key(key: object) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
