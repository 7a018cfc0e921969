"""Finds the path of a node in the configuration: `main.trainer.callbacks[1]`."""

from collections import deque
from collections.abc import Sequence

from fgc.ir import Graph, NodeId, steps


class TargetPaths:
    """The shortest path to each node that the chosen targets need; the first of several."""

    def __init__(self, graph: Graph, targets: Sequence[str]) -> None:
        self._steps: dict[NodeId, tuple[NodeId | None, str]] = {}
        waiting: deque[tuple[NodeId, NodeId | None, str]] = deque((graph.targets[name], None, name) for name in targets)
        while waiting:
            node, parent, label = waiting.popleft()
            if node not in self._steps:
                self._steps[node] = (parent, label)
                waiting.extend((child, node, step) for step, child, _ in steps(graph, node))

    def __contains__(self, node: NodeId) -> bool:
        return node in self._steps

    def path(self, node: NodeId) -> str:
        """Returns the path of a node from its target."""
        labels: list[str] = []
        current: NodeId | None = node
        while current is not None:
            current, label = self._steps[current]
            labels.append(label)
        return "".join(reversed(labels))
