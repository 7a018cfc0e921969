"""The graph as JSON: the documented form by which other tools compare graphs.

Scalars, arrays and objects are as in JSON, in order. A node is `{"$node": kind, "$id": n, ...}` where it is first met
and `{"$ref": n}` after.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, assert_never

from fgc.ir.graph import Graph
from fgc.ir.nodes import Call, Deferred, DictNode, ListNode, Literal, NodeId, Var

_MAX_VALUES = 100_000  # aliases of aliases can expand exponentially
_CUT = "... cut here: the graph has too many mentions to be printed"


def graph_to_json(graph: Graph, types: Mapping[NodeId, str] | None = None) -> str:
    """The targets as JSON text; `null` for a graph without any. With `types`, nodes have their `type`."""
    exporter = _Exporter(graph, types or {})
    value = {name: exporter.value(node) for name, node in graph.targets.items()}
    return json.dumps(_mapping(list(value.items())) if value else None, indent=1, ensure_ascii=False)


class _Exporter:
    def __init__(self, graph: Graph, types: Mapping[NodeId, str]) -> None:
        self._graph = graph
        self._types = types
        self._ids: dict[NodeId, int] = {}
        self._count = 0

    def value(self, node_id: NodeId) -> Any:
        node = self._graph[node_id]
        self._count += 1
        if self._count > _MAX_VALUES:
            return _CUT
        match node:
            case Literal():
                return _scalar(node.value)
            case Deferred():
                return _scalar(node.value)
            case ListNode():
                return [self.value(item) for item in node.items]
            case DictNode():
                return _mapping([(entry.key, self.value(entry.value)) for entry in node.entries])
            case Call() | Var():
                return self._node(node_id, node)
            case _:
                assert_never(node)

    def _node(self, node_id: NodeId, node: Call | Var) -> dict[str, Any]:
        if node_id in self._ids:
            return {"$ref": self._ids[node_id]}
        self._ids[node_id] = len(self._ids)
        number = self._ids[node_id]
        if isinstance(node, Var):
            form = {"$node": "var", "$id": number, "name": node.name}
            return form if node.default is None else {**form, "default": self.value(node.default)}
        form = {"$node": node.kind.value, "$id": number, "callable": node.callee.text}
        if node.name is not None:
            form["name"] = node.name
        if node_id in self._types:
            form["type"] = self._types[node_id]
        if node.positional:
            form["args"] = [self.value(item) for item in node.positional]
        if node.keywords:
            form["kwargs"] = _mapping([(keyword.name, self.value(keyword.value)) for keyword in node.keywords])
        if node.searchpath is not None:
            form["searchpath"] = self.value(node.searchpath)
        if node.latent is not None:
            form["latent_args"] = self.value(node.latent)
        return form


def _scalar(value: bool | int | float | str | None) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    return value


def _mapping(pairs: list[tuple[Any, Any]]) -> Any:
    if all(isinstance(key, str) and not key.startswith("$") for key, _ in pairs):
        return dict(pairs)
    return {"$map": [[_scalar(key), value] for key, value in pairs]}
