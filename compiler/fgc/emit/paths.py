"""Where in the configuration a node stands: `main.trainer.callbacks[1]`."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import assert_never

from fgc.ir import Call, Deferred, DictNode, Graph, ListNode, Literal, NodeId, SymbolKind, Var

_DISPLAYS = ("named_list", "named_tuple")


class TargetPaths:
    """The shortest path to each node that some targets need; of several, the first."""

    def __init__(self, graph: Graph, targets: Sequence[str]) -> None:
        self._steps: dict[NodeId, tuple[NodeId | None, str]] = {}
        waiting: deque[tuple[NodeId, NodeId | None, str]] = deque((graph.targets[name], None, name) for name in targets)
        while waiting:
            node, parent, label = waiting.popleft()
            if node not in self._steps:
                self._steps[node] = (parent, label)
                waiting.extend((child, node, step) for step, child in steps(graph, node))

    def __contains__(self, node: NodeId) -> bool:
        return node in self._steps

    def path(self, node: NodeId) -> str:
        """The path of a node from its target."""
        labels: list[str] = []
        current: NodeId | None = node
        while current is not None:
            current, label = self._steps[current]
            labels.append(label)
        return "".join(reversed(labels))


def steps(graph: Graph, node: NodeId) -> Iterator[tuple[str, NodeId]]:
    """What a node mentions, each with the path from the node to it."""
    value = graph[node]
    match value:
        case ListNode():
            yield from ((f"[{position}]", item) for position, item in enumerate(value.items))
        case DictNode():
            yield from ((_key(entry.key), entry.value) for entry in value.entries)
        case Call():
            is_display = value.callee.kind is SymbolKind.BUILTIN and value.callee.attribute in _DISPLAYS
            yield from ((_position(position, is_display), item) for position, item in enumerate(value.positional))
            yield from ((f".{keyword.name}", keyword.value) for keyword in value.keywords)
            if value.latent is not None:
                yield ".latent_args", value.latent
        case Var():
            if value.default is not None:
                yield ".default", value.default
        case Literal() | Deferred():
            return
        case _:
            assert_never(value)


def _position(position: int, is_display: bool) -> str:
    """An argument by its place; the items of `!list` count as its own."""
    return "" if is_display and position == 0 else f"[{position}]"


def _key(key: object) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
