"""Patterns of parameter names in a program: those that are no expressions, and those that match none of its model.

What is trained, learning rates and logged norms are chosen so. A program refuses them before its first step; here they
are found at their place, where the model that they are for is made from parts that can be read, and only goes where its
parameters keep their names.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.emit.model.description import Description
from fgc.emit.model.module_names import parameter_names
from fgc.emit.model.values import Constant, Field, PartConstruction, walk
from fgc.ir import Call, CallKind, DictNode, Graph, ListNode, Literal, NodeId, children, display_type, reachable
from fgc.text import Origin

_CODE = "FGC416"
_FINE_TUNED = "fgc_runtime.finetune:fine_tuned"
_FREEZE = "fgc_runtime.finetune:freeze"
_IN_KEYS = {"fgc_runtime.optim:grouped": ("groups",)}
_IN_VALUES = {
    "fgc_runtime.callbacks:NormCallback": ("patterns",),
    _FINE_TUNED: ("trained", "frozen"),
    _FREEZE: ("trained", "frozen"),
}
_OWN_MODELS = {_FINE_TUNED: "base", _FREEZE: "model"}  # the arguments whose parameters their own patterns choose
_TRAINERS = ("fgc_runtime.trainers:Trainer", "transformers:Trainer")  # they train their `model` under its own names
_GIVERS = {"call": "", _FINE_TUNED: "base"}  # they give what they are given, with the same names
_ADAPTER = "adapter"  # of `fine_tuned`: its parameters have names of their own


class _Pattern(Struct, frozen=True):
    """A pattern, the argument that it is given by, where, and the call that takes it."""

    text: str
    argument: str
    origin: Origin
    taker: NodeId


def check_patterns(graph: Graph, models: Mapping[NodeId, Description]) -> Iterator[Diagnostic]:
    """FGC416: a pattern of parameter names that is no regular expression, or that no parameter of the model matches."""
    chosen = _ChosenModels(graph)
    names: dict[NodeId, Sequence[str] | None] = {}
    for pattern in _patterns(graph):
        try:
            expression = re.compile(pattern.text)
        except re.error as error:
            message = f"`{pattern.text}` in `{pattern.argument}` is not a regular expression: {error}"
            yield Diagnostic.at(pattern.origin, _CODE, message)
            continue
        model = chosen.by(pattern.taker)
        if model is None or model not in models:
            continue
        if model not in names:
            described = models[model]
            names[model] = parameter_names(described.model, described.library, _num_layers(described))
        known = names[model]
        if known is not None and not any(map(expression.search, known)):
            message = f"no parameter of the model matches `{pattern.text}` in `{pattern.argument}`"
            yield Diagnostic.at(pattern.origin, _CODE, message, help=_help(pattern.text, known))


class _ChosenModels:
    """Knows which described model the patterns of a call are for."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._above: dict[NodeId, list[NodeId]] = {}
        for node_id, node in graph.nodes.items():
            for child in children(node):
                self._above.setdefault(child, []).append(node_id)

    def by(self, taker: NodeId) -> NodeId | None:
        """The node that describes the model; None for another model, or if its parameters may get other names."""
        call = self._graph[taker]
        assert isinstance(call, Call), "patterns are arguments"
        own = _OWN_MODELS.get(call.callee.text)
        if own is None:
            values = {_given(trainer, "model") for trainer in self._first_above(taker, _is_trainer)}
        else:
            values = {_given(call, own)}
        value = values.pop() if len(values) == 1 else None
        if value is None or not self._graph.broken.isdisjoint(reachable(self._graph, [value])):
            return None
        return self._described(value)

    def _described(self, node_id: NodeId) -> NodeId | None:
        """The description of a model that has the parameters of a value, under the same names."""
        call = self._graph[node_id]
        if not isinstance(call, Call) or not all(map(_keeps_names, self._first_above(node_id, _is_no_container))):
            return None
        if call.kind is CallKind.META:
            return node_id
        given = _given(call, _GIVERS[call.callee.text]) if _is_giver(call) else None
        return None if given is None else self._described(given)

    def _first_above(self, node_id: NodeId, is_wanted: Callable[[Call], bool]) -> Iterator[Call]:
        """The calls of one kind that something goes to, past all that is of another kind."""
        seen: set[NodeId] = set()
        waiting = [node_id]
        while waiting:
            for above in self._above.get(waiting.pop(), ()):
                node = self._graph[above]
                if above in seen:
                    continue
                seen.add(above)
                if isinstance(node, Call) and is_wanted(node):
                    yield node
                else:
                    waiting.append(above)


def _is_trainer(call: Call) -> bool:
    return call.callee.text in _TRAINERS


def _is_no_container(call: Call) -> bool:
    return display_type(call) is None


def _is_giver(call: Call) -> bool:
    return call.callee.text in _GIVERS and all(keyword.name != _ADAPTER for keyword in call.keywords)


def _keeps_names(call: Call) -> bool:
    """Returns True if the parameters of a model that a call is given have the same names afterwards."""
    return _is_giver(call) or _is_trainer(call) or call.callee.text == _FREEZE


def _given(call: Call, parameter: str) -> NodeId | None:
    """An argument by its name, or the first."""
    found = {keyword.name: keyword.value for keyword in call.keywords}
    return found.get(parameter, next(iter(call.positional), None))


def _patterns(graph: Graph) -> Iterator[_Pattern]:
    for node_id, node in graph.nodes.items():
        if not isinstance(node, Call) or node.callee.text not in (*_IN_KEYS, *_IN_VALUES):
            continue
        for keyword in node.keywords:
            given = graph[keyword.value]
            if keyword.name in _IN_KEYS.get(node.callee.text, ()) and isinstance(given, DictNode):
                for entry in given.entries:
                    if isinstance(entry.key, str):
                        yield _Pattern(entry.key, keyword.name, entry.origin, node_id)
            elif keyword.name in _IN_VALUES.get(node.callee.text, ()):
                for text, origin in _in_values(graph, given):
                    yield _Pattern(text, keyword.name, origin, node_id)


def _in_values(graph: Graph, given: object) -> Iterator[tuple[str, Origin]]:
    items = given.items if isinstance(given, ListNode) else ()
    items = tuple(entry.value for entry in given.entries) if isinstance(given, DictNode) else items
    for item in items:
        match graph[item]:
            case Literal(value=str(text), origin=origin):
                yield text, origin
            case _:
                pass


def _num_layers(described: Description) -> int | None:
    """The number of layers, if it is one number."""
    parts = (item for item in walk(described.model) if isinstance(item, PartConstruction))
    given = [part.arguments["num_layers"] for part in parts if "num_layers" in part.arguments]
    defaults = {field.name: field.default for field in described.fields if field.derived is None}
    open_fields = {entry.name for entry in described.runtime}
    found = {defaults.get(item.name) if isinstance(item, Field) else item for item in given}
    is_open = any(isinstance(item, Field) and item.name in open_fields for item in given)
    match list(found):
        case [Constant(value=int(number))] if not is_open:
            return number
        case _:
            return None


def _help(pattern: str, names: Sequence[str]) -> str:
    """The part of a name that a word of a pattern is meant for, or all parts."""
    parts = {part for name in names for part in name.split(".") if not part.isdigit()}
    words = re.findall(r"\w{3,}", pattern.replace("\\", " "))
    near = next((found for word in reversed(words) if word not in parts and (found := did_you_mean(word, parts))), None)
    layers = sorted({int(part) for name in names for part in name.split(".") if part.isdigit()})
    numbers = f"; layers are 0 to {layers[-1]}" if layers else ""
    return near or f"parts of its names are {', '.join(sorted(parts))}{numbers}"
