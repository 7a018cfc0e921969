"""Puts the graphs of other configurations in the place of the calls that ask for them."""

from collections.abc import Mapping
from typing import TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Outcome, did_you_mean, has_errors
from fgc.ir import Call, CallKind, DictNode, Entry, Graph, Node, NodeId, Var, reachable
from fgc.ir.rewire import rewired
from fgc.pipeline.imports.relocate import relocated
from fgc.pipeline.imports.request import FROM_PROJECT, ImportCall, Imported, Projects, read_call
from fgc.text import Need


class Grafted(Struct, frozen=True):
    """The graph with all that it takes from other projects, and what had to be known to compile these."""

    graph: Graph
    needs: tuple[Need, ...] = ()


def graft(graph: Graph, projects: Projects | None) -> Outcome[Grafted]:
    """Take from other projects what the graph asks for; nothing where nobody knows other projects."""
    calls = [node_id for node_id, node in graph.nodes.items() if _is_import(node)]
    if not calls or projects is None:
        return Outcome(Grafted(graph))
    grafting = _Grafting(graph)
    for node_id in (call for call in calls if call not in graph.broken):
        grafting.take(node_id, projects)
    return Outcome(Grafted(grafting.finish(), tuple(grafting.needs)), tuple(grafting.diagnostics))


def _is_import(node: Node) -> bool:
    return isinstance(node, Call) and node.kind is CallKind.META and node.callee.text == FROM_PROJECT


def _is_given(node: Node, objects: Mapping[str, NodeId]) -> TypeGuard[Var]:
    return isinstance(node, Var) and node.name in objects


class _Grafting:
    """Nodes of the graph and of those that it takes, under ids of their own."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes: dict[NodeId, Node] = dict(graph.nodes)
        self._hints = dict(graph.hints)
        self._named = set(graph.named)
        self._instead: dict[NodeId, NodeId] = {}
        self._roots: dict[object, dict[str, NodeId]] = {}
        self.needs: list[Need] = []
        self.diagnostics: list[Diagnostic] = []

    def take(self, node_id: NodeId, projects: Projects) -> None:
        call = self._graph[node_id]
        assert isinstance(call, Call), "only calls ask for projects"
        asked = read_call(self._graph, call)
        self.diagnostics += asked.diagnostics
        self.needs += asked.needs
        if asked.request is None:
            return
        loaded = projects.load(asked.request)
        self.diagnostics += loaded.diagnostics
        if loaded.value is None or has_errors(loaded.diagnostics):
            return
        graph = loaded.value.graph
        variables = {node.name for node in graph.nodes.values() if isinstance(node, Var)}
        before = len(asked.diagnostics)
        asked.refuse_slips((), [name for name in asked.objects if name not in variables], variables)
        self.diagnostics += asked.diagnostics[before:]
        objects = {name: value for name, (value, _) in asked.objects.items() if name in variables}
        key = (loaded.value.key, *sorted(objects.items()))
        if key not in self._roots:
            self._roots[key] = self._add(loaded.value, objects)
        self._put(node_id, call, asked, loaded.value, self._roots[key])

    def _add(self, imported: Imported, objects: Mapping[str, NodeId]) -> dict[str, NodeId]:
        """Add the nodes of a graph, with objects of this one in the place of its variables; its targets."""
        self.needs += imported.needs
        first = max(self._nodes) + 1
        theirs = relocated(imported.graph, imported.folder, imported.workspace)
        given = {old: objects[node.name] for old, node in theirs.nodes.items() if _is_given(node, objects)}
        new_ids = {old: NodeId(first + place) for place, old in enumerate(theirs.nodes)} | given
        own = [old for old in theirs.nodes if old not in given]
        self._nodes |= {new_ids[old]: rewired(theirs[old], new_ids.__getitem__) for old in own}
        self._hints |= {new_ids[old]: hint for old, hint in theirs.hints.items() if old not in given}
        self._named |= {new_ids[old] for old in theirs.named - set(theirs.targets.values()) - given.keys()}
        return {name: new_ids[old] for name, old in theirs.targets.items()}

    def _put(
        self, node_id: NodeId, call: Call, asked: ImportCall, imported: Imported, roots: Mapping[str, NodeId]
    ) -> None:
        for name, origin in asked.targets:
            if name not in roots:
                help = did_you_mean(name, roots) or f"it has: {', '.join(roots)}"
                message = f"`{imported.name}` has no target `{name}`"
                self.diagnostics.append(Diagnostic.at(origin, "FGC410", message, help=help))
                return
        if asked.is_single:
            root = roots[asked.targets[0][0]]
            self._instead[node_id] = root
            self._hints[root] = self._hints.get(node_id, asked.targets[0][0])
            if node_id in self._named:
                self._named.add(root)
            return
        entries = tuple(Entry(name, roots[name], origin) for name, origin in asked.targets)
        self._nodes[node_id] = DictNode(entries, call.origin)

    def finish(self) -> Graph:
        def settled(node_id: NodeId) -> NodeId:
            return self._instead.get(node_id, node_id)

        nodes = {key: rewired(node, settled) for key, node in self._nodes.items() if key not in self._instead}
        targets = {name: settled(node_id) for name, node_id in self._graph.targets.items()}
        own = [key for key in self._graph.nodes if key in nodes]
        needed = set(reachable(replace(self._graph, nodes=nodes), [*own, *targets.values()]))
        nodes = {key: node for key, node in nodes.items() if key in needed}
        hints = {key: hint for key, hint in self._hints.items() if key in nodes}
        named = frozenset({settled(key) for key in self._named} & needed)
        return replace(self._graph, nodes=nodes, targets=targets, hints=hints, named=named)
