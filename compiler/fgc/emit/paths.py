"""Where in the configuration a node stands: `main.trainer.callbacks[1]`."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from fgc.ir import Call, Deferred, DictNode, Graph, ListNode, Literal, NodeId, Var


class TargetPaths:
    """The first path to each node that some targets need."""

    def __init__(self, graph: Graph, targets: Sequence[str]) -> None:
        self._steps: dict[NodeId, tuple[NodeId | None, str]] = {}
        stack: list[tuple[NodeId, NodeId | None, str]] = [
            (graph.targets[name], None, name) for name in reversed(targets)
        ]
        while stack:
            node, parent, label = stack.pop()
            if node not in self._steps:
                self._steps[node] = (parent, label)
                stack += [(child, node, step) for step, child in reversed(list(_steps(graph, node)))]

    def path(self, node: NodeId) -> str:
        """The path of a node from its target."""
        labels: list[str] = []
        current: NodeId | None = node
        while current is not None:
            current, label = self._steps[current]
            labels.append(label)
        return "".join(reversed(labels))


def _steps(graph: Graph, node: NodeId) -> Iterator[tuple[str, NodeId]]:
    value = graph[node]
    match value:
        case ListNode():
            yield from ((f"[{position}]", item) for position, item in enumerate(value.items))
        case DictNode():
            yield from ((_key(entry.key), entry.value) for entry in value.entries)
        case Call():
            yield from ((f"[{position}]", item) for position, item in enumerate(value.positional))
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


def _key(key: object) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
