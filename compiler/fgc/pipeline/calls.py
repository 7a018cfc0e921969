"""The calls of a graph, and which of them can be compared with a signature."""

from collections.abc import Iterator
from typing import Protocol

from fgc.ir import OWN_BUILTINS, Call, CallKind, Graph, NodeId, Symbol, SymbolKind
from fgc.ir.graph import children
from fgc.pipeline.coverage import Coverage, Unchecked
from fgc.signatures import Answer, Verdict

_MADE_LATE = "its signature is created at run time"


class CallLookup(Protocol):
    """Knows callables."""

    def look_up(self, symbol: Symbol) -> Answer: ...


def coverage(graph: Graph, files: CallLookup) -> Coverage:
    """The calls of a graph. Components of models, and what a build-time call receives, are checked elsewhere."""
    calls = [*_calls(graph)]
    unchecked = [_unchecked(call.callee, files.look_up(call.callee)) for call in calls]
    return Coverage(len(calls), tuple(item for item in unchecked if item is not None))


def calls(graph: Graph) -> Iterator[tuple[NodeId, Call]]:
    """The calls that the targets need, but for those that a build-time call receives."""
    seen: set[NodeId] = set()
    stack = list(reversed(list(graph.targets.values())))
    while stack:
        node_id = stack.pop()
        node = graph[node_id]
        if node_id in seen or (isinstance(node, Call) and node.kind is CallKind.META):
            continue
        seen.add(node_id)
        if isinstance(node, Call):
            yield node_id, node
        stack.extend(reversed(children(node)))


def _calls(graph: Graph) -> Iterator[Call]:
    for _, call in calls(graph):
        is_own = call.callee.kind is SymbolKind.BUILTIN and call.callee.attribute in OWN_BUILTINS
        if not is_own and call.callee.kind is not SymbolKind.COMPONENT:
            yield call


def _unchecked(symbol: Symbol, answer: Answer) -> Unchecked | None:
    match answer.verdict:
        case Verdict.NOT_INSTALLED:
            return Unchecked(symbol.text, "it is not installed", symbol.origin.span, answer.wrong)
        case Verdict.UNKNOWN | Verdict.CALLABLE if not answer.signatures:
            return Unchecked(symbol.text, answer.reason or _MADE_LATE, symbol.origin.span)
        case _:
            return None
