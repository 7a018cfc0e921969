"""The graph as indented text for people: what is constructed of what, shared nodes by name."""

from collections.abc import Mapping
from typing import assert_never

from fgc.ir.graph import Graph
from fgc.ir.nodes import Call, CallKind, Deferred, DictNode, ListNode, Literal, Node, NodeId, Var


def graph_to_text(graph: Graph, types: Mapping[NodeId, str] | None = None) -> str:
    """Targets and what they are made of; a node met before is only named.

    With `types`, a call whose callee does not tell what it gives says so: `load -> list`.
    """
    shower = _Shower(graph, types or {})
    for name, node in graph.targets.items():
        shower.show(f"{name}: ", node, 0)
    return "\n".join(shower.lines)


def target_kind(node: Node) -> str:
    """Returns what a target is, in a few words: how it is made and of what, or which kind of value it is."""
    match node:
        case Call():
            return f"{node.kind.value} {node.callee.text}"
        case Var():
            return f"variable {node.name}"
        case ListNode():
            return "list"
        case DictNode():
            return "mapping"
        case Literal() | Deferred():
            return "value"
        case _:
            assert_never(node)


class _Shower:
    def __init__(self, graph: Graph, types: Mapping[NodeId, str]) -> None:
        self._graph = graph
        self._types = types
        self._shown: dict[NodeId, str] = {}
        self.lines: list[str] = []

    def show(self, label: str, node_id: NodeId, depth: int) -> None:
        node = self._graph[node_id]
        if node_id in self._shown and not isinstance(node, (Literal, Deferred)):
            self._line(depth, f"{label}*{self._shown[node_id]}")
            return
        self._shown[node_id] = self._graph.hints.get(node_id, str(node_id))
        match node:
            case Literal():
                self._line(depth, f"{label}{node.value!r}")
            case Deferred():
                self._line(depth, f"{label}{node.text!r} (at run time)")
            case Var():
                self._line(depth, f"{label}!var {node.name}")
                if node.default is not None:
                    self.show("default: ", node.default, depth + 1)
            case ListNode():
                self._line(depth, f"{label}list")
                for item in node.items:
                    self.show("- ", item, depth + 1)
            case DictNode():
                self._line(depth, f"{label}mapping")
                for entry in node.entries:
                    self.show(f"{entry.key}: ", entry.value, depth + 1)
            case Call():
                self._call(label, node_id, node, depth)

    def _call(self, label: str, node_id: NodeId, node: Call, depth: int) -> None:
        kind = "" if node.kind is CallKind.SINGLETON else f"{node.kind.value} "
        type_name = self._types.get(node_id)
        is_said = type_name is None or node.kind is CallKind.PARTIAL or node.callee.attribute.endswith(type_name)
        given = "" if is_said else f" -> {type_name}"
        self._line(depth, f"{label}{kind}{node.callee.text}{given}")
        for item in node.positional:
            self.show("- ", item, depth + 1)
        for keyword in node.keywords:
            self.show(f"{keyword.name}= ", keyword.value, depth + 1)

    def _line(self, depth: int, text: str) -> None:
        self.lines.append("  " * depth + text)
