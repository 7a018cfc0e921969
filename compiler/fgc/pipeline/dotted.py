"""Callables with dots only, `torch.nn.SiLU`: the longest module, and the attributes behind it."""

from typing import Protocol

from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Edit, Outcome, Severity, did_you_mean
from fgc.ir import BUILTINS, Call, Graph, Symbol


class Modules(Protocol):
    """Knows which dotted names are modules."""

    def longest_module(self, name: str) -> str | None: ...

    def similar_package(self, name: str) -> str | None: ...


def divide_callables(graph: Graph, modules: Modules) -> Outcome[Graph]:
    """The graph in which every callable has its module, with a warning at each that is written with dots only."""
    dotted = {
        node_id: node for node_id, node in graph.nodes.items() if isinstance(node, Call) and node.callee.has_dots_only
    }
    if not dotted:
        return Outcome(graph)
    divided = {call.callee: _divided(call.callee, modules) for call in dotted.values()}
    nodes = {
        node_id: replace(dotted[node_id], callee=divided[dotted[node_id].callee]) if node_id in dotted else node
        for node_id, node in graph.nodes.items()
    }
    found = [_finding(symbol, modules) for symbol in divided.values()]
    return Outcome(replace(graph, nodes=nodes), tuple(found))


def _divided(symbol: Symbol, modules: Modules) -> Symbol:
    module = modules.longest_module(symbol.text) or _by_spelling(symbol.text)
    return replace(symbol, container=module, attribute=symbol.text[len(module) + 1 :])


def _by_spelling(text: str) -> str:
    """Returns the module of a package that is not installed: all before the first class, else before the last part."""
    parts = text.split(".")
    end = next((place for place, part in enumerate(parts) if place and part[:1].isupper()), len(parts) - 1)
    return ".".join(parts[:end])


def _finding(symbol: Symbol, modules: Modules) -> Diagnostic:
    first = symbol.text.partition(".")[0]
    is_absent = modules.longest_module(symbol.text) is None
    slip = did_you_mean(first, BUILTINS) if is_absent and modules.similar_package(first) is None else None
    if slip is not None:
        return Diagnostic.at(symbol.origin, "FGC504", f"there is no builtin `{first}`", help=slip)
    message = f"`{symbol.text}` lacks the `:` between the module and the name in it"
    better, span = f"{symbol.container}:{symbol.attribute}", symbol.origin.span
    fix = Edit(span, better) if span.text == symbol.text else None
    return Diagnostic.at(symbol.origin, "FGC403", message, severity=Severity.WARNING, help=f"write `{better}`", fix=fix)
