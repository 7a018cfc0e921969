"""Says what a graph means, told as shortly as possible (language.md, section 8). It shares nothing with the emitter.

Two sentences that the language leaves open, and that are decided here: what is built once inside an argument that is
evaluated per call is built at hand-over; what the default of a variable shares with the rest of the program is built
at the variable's first need, the rest of the default only if the variable is not given; a variable that one mention
requires has no default. And a partial without arguments is its callee.
"""

import builtins
import functools
import importlib
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fgc.ir import Call, CallKind, Deferred, DictNode, Graph, ListNode, Literal, NodeId, Symbol, SymbolKind, Var
from fgc.ir.graph import reachable

_HELPERS: dict[str, Callable[..., Any]] = {
    "items": lambda value: value.items(),
    "keys": lambda value: value.keys(),
    "values": lambda value: value.values(),
    "getitem": operator.getitem,
    "call": lambda function, /, *args, **kwargs: function(*args, **kwargs),
    "named_list": list,
    "named_tuple": tuple,
    "named_dict": dict,
}


class Interpreter:
    """One call of the program."""

    def __init__(self, graph: Graph, targets: Sequence[str], variables: Mapping[str, Any]) -> None:
        self.graph, self.variables = graph, variables
        self.targets = [name for name in graph.targets if name in targets]
        self.built: dict[NodeId, Any] = {}
        mentioned = [*graph.targets.values()]
        for node in reachable(graph, graph.targets.values()):
            mentioned += self.parts(node)
        wanted = reachable(graph, [graph.targets[name] for name in self.targets])
        needed = [found for node in wanted if isinstance(found := graph[node], Var)]
        self.required = {var.name for var in needed if var.default is None}
        self.shared = {node for node in mentioned if mentioned.count(node) > 1}

    def run(self) -> dict[str, Any]:
        return {name: self.value(self.graph.targets[name]) for name in self.targets}

    def parts(self, node: NodeId) -> list[NodeId]:
        match self.graph[node]:
            case ListNode(items=items):
                return list(items)
            case DictNode(entries=entries):
                return [entry.value for entry in entries]
            case Call() as call:
                late = [call.latent] if call.latent is not None else []
                return [*call.positional, *(keyword.value for keyword in call.keywords), *late]
            case Var(default=default):
                return [default] if default is not None else []
        return []

    def is_once(self, node: NodeId) -> bool:
        match self.graph[node]:
            case Call(kind=kind):
                return kind is CallKind.SINGLETON
            case ListNode() | DictNode():
                return node in self.shared
            case Var():
                return True
        return False

    def is_per_call(self, node: NodeId) -> bool:
        match self.graph[node]:
            case Call(kind=CallKind.FACTORY):
                return True
            case Call():
                return False
        return not self.is_once(node) and any(map(self.is_per_call, self.parts(node)))

    def value(self, node: NodeId) -> Any:
        if node not in self.built:
            made = self.make(node)
            if not self.is_once(node):
                return made
            self.built[node] = made
        return self.built[node]

    def make(self, node: NodeId) -> Any:
        match self.graph[node]:
            case Literal(value=value):
                return value
            case Deferred(text=text):
                return text
            case ListNode(items=items):
                return [self.value(item) for item in items]
            case DictNode(entries=entries):
                return {entry.key: self.value(entry.value) for entry in entries}
            case Var() as var:
                return self.variable(node, var)
            case Call(kind=CallKind.PARTIAL) as call:
                return self.hand_over(call)
            case Call() as call:
                given = [self.value(child) for child in self.parts(node)]
                return self.apply(call, given)

    def apply(self, call: Call, given: list[Any], /, *more: Any, **override: Any) -> Any:
        late = given.pop() if call.latent is not None else {}
        split = len(call.positional)
        written = dict(zip((keyword.name for keyword in call.keywords), given[split:], strict=True))
        return resolve(call.callee)(*given[:split], *more, **{**written, **late, **override})

    def hand_over(self, call: Call) -> Callable[..., Any]:
        nodes = [*call.positional, *(keyword.value for keyword in call.keywords)]
        late = [call.latent] if call.latent is not None else []
        if not nodes and not late and call.callee.text not in ("items", "keys", "values"):
            return resolve(call.callee)
        fixed: dict[int, Any] = {}
        for place, node in enumerate(nodes):
            if self.is_per_call(node):
                self.prepare(node)
            else:
                fixed[place] = self.value(node)
        for node in late:
            self.prepare(node)

        def called(*args: Any, **kwargs: Any) -> Any:
            given = [fixed[place] if place in fixed else self.value(node) for place, node in enumerate(nodes)]
            return self.apply(call, [*given, *map(self.value, late)], *args, **kwargs)

        return called

    def prepare(self, node: NodeId) -> None:
        if self.is_once(node):
            self.value(node)
        else:
            for part in self.parts(node):
                self.prepare(part)

    def variable(self, node: NodeId, var: Var) -> Any:
        if var.default is not None and var.name not in self.required:
            self.build_shared(var.default, self.without(node))
        if var.name in self.variables:
            return self.variables[var.name]
        if var.default is None:
            raise TypeError(f"variable {var.name} has no value")
        return self.value(var.default)

    def without(self, hidden: NodeId) -> set[NodeId]:
        seen: set[NodeId] = set()
        todo = [self.graph.targets[name] for name in self.targets]
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo += [] if node == hidden else self.parts(node)
        return seen

    def build_shared(self, node: NodeId, elsewhere: set[NodeId]) -> None:
        if self.is_once(node) and node in elsewhere:
            self.value(node)
        else:
            for part in self.parts(node):
                self.build_shared(part, elsewhere)


def resolve(symbol: Symbol) -> Callable[..., Any]:
    """The callable of a symbol."""
    if symbol.kind is SymbolKind.BUILTIN and symbol.attribute in _HELPERS:
        return _HELPERS[symbol.attribute]
    owner: Any = builtins if symbol.kind is SymbolKind.BUILTIN else importlib.import_module(symbol.container)
    found: Callable[..., Any] = functools.reduce(getattr, symbol.attribute.split("."), owner)
    return found
