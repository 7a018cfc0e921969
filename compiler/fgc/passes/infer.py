"""A graph to the types of its values, as far as they are certain: facts that lie beside the nodes.

Constructors give objects of their class, functions what their annotation says; `call`, `getattr`, `getitem` and the
displays are looked through. What may be anything has no type.
"""

from collections.abc import Mapping
from functools import partial
from typing import Protocol, assert_never

from fgc.ir import (
    DISPLAYS,
    VIEWS,
    Call,
    CallKind,
    Deferred,
    DictNode,
    Graph,
    ListNode,
    Literal,
    NodeId,
    Symbol,
    SymbolKind,
    Var,
    display_type,
    steps,
)
from fgc.signatures import Answer, TypeName, native_type

Types = tuple[TypeName, ...]


class TypeLookup(Protocol):
    """Knows what calls give, and what attributes of objects are."""

    def look_up(self, symbol: Symbol) -> Answer: ...

    def attribute(self, owner: TypeName, name: str) -> Answer: ...


def infer(graph: Graph, callables: TypeLookup) -> Mapping[NodeId, Types]:
    """The types of nodes; of several, a value has one. A node that is not listed may be anything."""
    found: dict[NodeId, Types] = {}
    inference = _Inference(graph, callables, found)
    for node in _children_first(graph):
        types = inference.types(node)
        if types:
            found[node] = types
    return found


def verify_types(graph: Graph, types: Mapping[NodeId, Types]) -> None:
    """Raise AssertionError unless types lie beside nodes that exist, and literals have their own."""
    for node_id, found in types.items():
        assert node_id in graph.nodes, f"a type lies beside node {node_id}, which does not exist"
        assert found, f"node {node_id} has a type that says nothing"
        node = graph[node_id]
        if isinstance(node, Literal):
            assert found == (native_type(type(node.value)),), f"literal {node_id} is no {found[0].name}"


class _Inference:
    def __init__(self, graph: Graph, callables: TypeLookup, found: Mapping[NodeId, Types]) -> None:
        self._graph = graph
        self._callables = callables
        self._found = found

    def types(self, node_id: NodeId) -> Types:
        node = self._graph[node_id]
        match node:
            case Literal() if node_id in self._graph.broken:
                return ()  # it stands for a value that a mistake has kept from being
            case Literal():
                return (native_type(type(node.value)),)
            case Deferred():
                return (native_type(type(node.value)),)
            case ListNode():
                return (native_type(list),)
            case DictNode():
                return (native_type(dict),)
            case Var():
                return ()  # whoever starts the program may give anything
            case Call(kind=CallKind.META):
                return ()
            case Call(kind=CallKind.PARTIAL):
                is_bare = not node.positional and not node.keywords and node.latent is None
                return () if is_bare else (native_type(partial),)
            case Call():
                return self._result(node)
            case _:
                assert_never(node)

    def _result(self, call: Call) -> Types:
        symbol = call.callee
        if symbol.kind is SymbolKind.BUILTIN and (symbol.attribute in DISPLAYS or symbol.attribute in _HELPERS):
            kind = DISPLAYS.get(symbol.attribute)
            return (native_type(kind),) if kind is not None else _HELPERS[symbol.attribute](self, call)
        return () if symbol.kind is SymbolKind.COMPONENT else self._callables.look_up(symbol).result

    def called(self, call: Call) -> Types:
        """`call` of a partial gives what its callee gives."""
        inner = self._graph[call.positional[0]] if call.positional else None
        if isinstance(inner, Call) and inner.kind is CallKind.PARTIAL and inner.callee.kind is not SymbolKind.COMPONENT:
            return self._result(inner)
        return ()

    def attribute(self, call: Call) -> Types:
        """`getattr` of an object whose class is known."""
        name = self._literal(call, 1)
        owners = self._found.get(call.positional[0], ()) if call.positional else ()
        if len(call.positional) != 2 or len(owners) != 1 or not isinstance(name, str):
            return ()
        return self._callables.attribute(owners[0], name).result

    def item(self, call: Call) -> Types:
        """`getitem` of a list or a mapping that is written out."""
        if len(call.positional) != 2:
            return ()
        owner, key = call.positional[0], self._literal(call, 1)
        parts = {label: child for label, child, _ in steps(self._graph, owner)}
        if set(parts) == {""}:  # `!list`
            parts = {label: child for label, child, _ in steps(self._graph, parts[""])}
        is_name = isinstance(key, str) and key.isidentifier()
        child = parts.get(f".{key}" if is_name else f"[{key!r}]")
        is_written_out = isinstance(self._graph[owner], ListNode | DictNode) or self._is_display(owner)
        return self._found.get(child, ()) if child is not None and is_written_out else ()

    def unknown(self, call: Call) -> Types:
        """Views of mappings: nothing that a parameter asks for by name."""
        return ()

    def _is_display(self, node_id: NodeId) -> bool:
        return display_type(self._graph[node_id]) is not None

    def _literal(self, call: Call, position: int) -> object:
        node = self._graph[call.positional[position]] if position < len(call.positional) else None
        return node.value if isinstance(node, Literal) else None


_HELPERS = {
    "call": _Inference.called,
    "getattr": _Inference.attribute,
    "getitem": _Inference.item,
    **dict.fromkeys(VIEWS, _Inference.unknown),
}


def _children_first(graph: Graph) -> list[NodeId]:
    done: dict[NodeId, None] = {}
    stack = [(node, False) for node in reversed(list(graph.targets.values()))]
    while stack:
        node, is_finished = stack.pop()
        if is_finished:
            done.setdefault(node)
        elif node not in done:
            stack.append((node, True))
            stack += [(child, False) for _, child, _ in steps(graph, node) if child not in done]
    return list(done)
