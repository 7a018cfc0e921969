"""Variables of a configuration to annotations: what the parameters that receive them ask for."""

from collections.abc import Iterator, Mapping

from fgc.ir import Call, CallKind, Graph, NodeId, SymbolKind, Var, children, reachable
from fgc.pipeline.literal_types import plain_types
from fgc.pipeline.signatures import Signatures

_ORDER = ("int", "float", "str", "bool", "None")


def variable_annotations(graph: Graph, signatures: Signatures) -> Mapping[str, str]:
    """The annotation of every `!var` all of whose mentions go to parameters that ask for the same plain types."""
    wanted: dict[str, set[frozenset[str]]] = {}
    for node_id in reachable(graph, graph.targets.values()):
        node = graph[node_id]
        asked = dict(_parameters(graph, node, signatures)) if isinstance(node, Call) else {}
        for child in children(node):
            variable = graph[child]
            if isinstance(variable, Var):
                wanted.setdefault(variable.name, set()).add(asked.get(child, frozenset()))
    for target in graph.targets.values():
        if isinstance(variable := graph[target], Var):
            wanted.setdefault(variable.name, set()).add(frozenset())
    found = {name: next(iter(types)) for name, types in wanted.items() if len(types) == 1}
    return {name: " | ".join(sorted(types, key=_ORDER.index)) for name, types in found.items() if types}


def _parameters(graph: Graph, call: Call, signatures: Signatures) -> Iterator[tuple[NodeId, frozenset[str]]]:
    """The arguments of a call with the plain types that their parameters ask for."""
    if call.kind is CallKind.META or call.callee.kind in (SymbolKind.COMPONENT, SymbolKind.BUILTIN):
        return
    known = signatures.look_up(call.callee).signatures
    if len(known) != 1:
        return
    given = [(slot, node) for slot, node in zip(known[0].positional, call.positional, strict=False)]
    given += [(p, item.value) for item in call.keywords if (p := known[0].parameter(item.name)) is not None]
    for parameter, node in given:
        yield node, frozenset(plain_types(parameter.annotation))
