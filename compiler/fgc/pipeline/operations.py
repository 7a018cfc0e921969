"""Operators, attributes and items: what Python would refuse for the types of the values, as far as they are known.

The types are those of Python itself; whether it refuses an operation is asked of Python, with a sample of each type.
Nothing of the configuration runs.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from fgc.diagnostics import Diagnostic, Severity
from fgc.diagnostics.nearest import did_you_mean, misspelt
from fgc.ir import VIEWS, Call, CallKind, DictNode, Graph, ListNode, Literal, NodeId, SymbolKind, Var
from fgc.pipeline.literal_types import article
from fgc.signatures import Answer, TypeName, Verdict

_SAMPLES: dict[str, Any] = {
    "builtins.int": 1,
    "builtins.float": 1.5,
    "builtins.bool": True,
    "builtins.str": "a",
    "builtins.NoneType": None,
    "builtins.list": [],
    "builtins.tuple": (),
    "builtins.dict": {},
}
_OPERATORS = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")},
    **{name: getattr(operator, name) for name in ("and_", "or_", "xor", "lshift", "rshift", "concat", "contains")},
    **{name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "neg", "pos", "invert", "abs", "index")},
}
_BUILTINS: dict[str, Callable[..., object]] = {
    **{function.__name__: function for function in (len, abs, iter, reversed, round, enumerate, sorted, list, tuple)},
    **{function.__name__: function for function in (set, frozenset, sum, min, max, any, all, range, chr, ord, divmod)},
}


class Attributes(Protocol):
    """Knows attributes of objects."""

    def attribute(self, owner: TypeName, name: str) -> Answer: ...


class OperationCheck(Struct, frozen=True):
    """A call of an operator or of one of the language's own builtins."""

    graph: Graph
    call: Call
    types: Mapping[NodeId, Sequence[TypeName]]
    files: Attributes

    def findings(self) -> Iterator[Diagnostic]:
        """Yields the operations that Python would refuse."""
        symbol, given = self.call.callee, self.call.positional
        if self.call.kind is CallKind.PARTIAL or self.call.keywords or self.call.latent is not None:
            return
        name = symbol.attribute
        if symbol.kind is SymbolKind.MODULE and symbol.container in ("operator", "_operator"):
            yield from self._own(name) if name in ("getitem", "call") else self._applied(_OPERATORS.get(name))
        elif symbol.kind is not SymbolKind.BUILTIN:
            return
        elif name in ("getattr", "getitem", "call", *VIEWS):
            yield from self._own(name)
        elif name in _BUILTINS and len(given) <= 2:
            yield from self._applied(_BUILTINS[name])

    def _own(self, name: str) -> Iterator[Diagnostic]:
        given = self.call.positional
        match name:
            case "getattr" if len(given) == 2:
                key = self.graph[given[1]]
                if isinstance(key, Literal) and isinstance(key.value, str):
                    yield from self._attribute(key.value, given[1])
            case "getitem" if len(given) == 2:
                yield from self._item()
            case "call" if given and (kind := self._plain(given[0])) is not None:
                message = f"this is {article(kind.name)} `{kind.name}` and cannot be called"
                yield Diagnostic.at(self.graph[given[0]].origin, "FGC509", message)
            case _ if name in VIEWS and len(given) == 1:
                yield from self._attribute(name, given[0])
            case _:
                pass

    def _applied(self, function: Callable[..., object] | None) -> Iterator[Diagnostic]:
        """An operation on values whose types are all known."""
        kinds = [self._plain(node_id) for node_id in self.call.positional]
        known = [kind for kind in kinds if kind is not None]
        if function is None or not kinds or len(known) < len(kinds):
            return
        if known[0].name == "str" and function is operator.mod:
            return  # how many values a text takes is in the text
        if not _refuses(function, [_SAMPLES[kind.bases[0]] for kind in known]):
            return
        shown = " and ".join(f"`{kind.name}`" for kind in known)
        message = f"Python refuses `{self.call.callee.attribute}` of {shown}"
        severity = Severity.WARNING if self._is_open(self.call.positional) else Severity.ERROR
        yield Diagnostic.at(self.call.callee.attribute_origin, "FGC511", message, severity=severity)

    def _attribute(self, name: str, place: NodeId) -> Iterator[Diagnostic]:
        """An attribute of an object whose class is known."""
        owner_id = self.call.positional[0]
        types = self.types.get(owner_id, ())
        if len(types) != 1:
            return
        owner, origin = types[0], self.graph[place].origin
        message = f"`{owner.name}` has no attribute `{name}`"
        if (kind := self._plain(owner_id)) is not None:
            sample = _SAMPLES[kind.bases[0]]
            if not hasattr(sample, name):
                severity = Severity.WARNING if self._is_open([owner_id]) else Severity.ERROR
                help = did_you_mean(name, [item for item in dir(sample) if not item.startswith("_")])
                yield Diagnostic.at(origin, "FGC504", message, severity=severity, help=help)
            return
        found = self.files.attribute(owner, name)
        if found.verdict is Verdict.NO_ATTRIBUTE:
            help = did_you_mean(name, found.names)
            yield Diagnostic.at(origin, "FGC504", message, help=help)
        elif found.names and (near := misspelt(name, found.names)) is not None:
            help = f"did you mean `{near}`?"
            yield Diagnostic.at(origin, "FGC504", message, severity=Severity.WARNING, help=help)

    def _item(self) -> Iterator[Diagnostic]:
        owner_id, key_id = self.call.positional
        owner, key = self.graph[owner_id], self.graph[key_id]
        if not isinstance(key, Literal):
            return
        match owner:
            case DictNode(entries=entries) if key.value not in [entry.key for entry in entries]:
                help = did_you_mean(str(key.value), [str(entry.key) for entry in entries])
                yield Diagnostic.at(key.origin, "FGC511", f"the mapping has no key `{key.value}`", help=help)
            case ListNode(items=items) if isinstance(key.value, int) and not -len(items) <= key.value < len(items):
                message = f"the list has {len(items)} items, and no item {key.value}"
                yield Diagnostic.at(key.origin, "FGC511", message)
            case _:
                kind, place = self._plain(owner_id), self._plain(key_id)
                samples = [_SAMPLES[item.bases[0]] for item in (kind, place) if item is not None]
                if kind is not None and len(samples) == 2 and _refuses(operator.getitem, samples):
                    severity = Severity.WARNING if self._is_open([owner_id]) else Severity.ERROR
                    message = f"Python refuses an item of {article(kind.name)} `{kind.name}` by `{key.value}`"
                    yield Diagnostic.at(key.origin, "FGC511", message, severity=severity)

    def _plain(self, node_id: NodeId) -> TypeName | None:
        """The type of a value, if it is one of Python's own that there is a sample of."""
        node = self.graph[node_id]
        if isinstance(node, Var) and node.default is not None:
            return self._plain(node.default)
        types = self.types.get(node_id, ())
        is_plain = len(types) == 1 and types[0].bases and types[0].bases[0] in _SAMPLES
        return types[0] if is_plain else None

    def _is_open(self, nodes: Sequence[NodeId]) -> bool:
        """Returns True if whoever starts the program may give another value."""
        return any(isinstance(self.graph[node_id], Var) for node_id in nodes)


def _refuses(function: Callable[..., object], values: Sequence[object]) -> bool:
    try:
        function(*values)
    except TypeError:
        return True
    except (ValueError, ArithmeticError, LookupError):
        return False
    return False
