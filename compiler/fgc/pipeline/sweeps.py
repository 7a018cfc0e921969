"""The target `sweep` of a configuration to what `fgc sweep` tries: values by path, a metric, a budget.

Its entries are those of the command's options. Whether the paths in it exist is not known here.
"""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Outcome, did_you_mean
from fgc.ir import Call, DictNode, Graph, ListNode, Literal, NodeId
from fgc.pipeline.ranges import Choices, Range, RangeError, parse_range
from fgc.text import Origin

TARGET = "sweep"


class Swept(Struct, frozen=True):
    """A value that a sweep changes: a path, or a name for several values that change together.

    `together` says what each choice of such a name sets, by path.
    """

    name: str
    range: Range
    together: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    origin: Origin | None = None


class Request(Struct, frozen=True):
    """A request for a sweep, from a target or a command line; None for what it leaves open."""

    over: tuple[Swept, ...] = ()
    minimize: str | None = None
    maximize: str | None = None
    trials: int | None = None
    hours: float | None = None
    sampler: str | None = None
    pruner: str | None = None
    grid: bool | None = None
    seed: int | None = None
    judge_by: str | None = None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "minimize": (_is_text, "the name of a metric, such as eval_loss"),
    "maximize": (_is_text, "the name of a metric, such as eval_accuracy"),
    "trials": (_is_count, "a count above 0"),
    "hours": (_is_time, "a number above 0"),
    "sampler": (_is_text, "the name of a sampler, such as tpe"),
    "pruner": (_is_text, "the name of a pruner, such as median"),
    "grid": (lambda value: isinstance(value, bool), "true or false"),
    "seed": (lambda value: isinstance(value, int) and not isinstance(value, bool), "an integer"),
    "judge_by": (lambda value: value in ("last", "best"), "last or best"),
}


def sweep_request(graph: Graph) -> Outcome[Request | None]:
    """Returns what the target asks for; a wrong entry is left out and is a finding at its line."""
    target = graph.targets.get(TARGET)
    if target is None or target in graph.broken:
        return Outcome(None)
    reader = _Reader(graph)
    request = reader.request(target)
    return Outcome(request, tuple(reader.diagnostics))


class _Reader:
    """Reads the target; collects what is wrong with it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.diagnostics: list[Diagnostic] = []

    def _refuse(self, origin: Origin, message: str, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic.at(origin, "FGC419", message, help=help))

    def request(self, target: NodeId) -> Request:
        pairs = self._pairs(target)
        if pairs is None:
            help = "write `over:` with a range for each path in it, and perhaps `trials: 20`"
            self._refuse(self._graph[target].origin, f"`{TARGET}` is a mapping", help)
            return Request()
        found = Request()
        for name, node, origin in pairs:
            if name == "over":
                found = replace(found, over=tuple(self._over(node)))
            elif name not in _RULES:
                help = did_you_mean(name, ("over", *_RULES)) or f"it has over, {', '.join(_RULES)}"
                self._refuse(origin, f"`{TARGET}` has no `{name}`", help)
            else:
                found = self._with(found, name, node)
        if found.minimize and found.maximize:
            self._refuse(self._graph[target].origin, f"`{TARGET}` has both `minimize` and `maximize`: choose one")
        return found

    def _with(self, request: Request, name: str, node_id: NodeId) -> Request:
        node = self._graph[node_id]
        value = node.value if isinstance(node, Literal) else None
        fits, rule = _RULES[name]
        if not fits(value):
            self._refuse(node.origin, f"`{name}` of `{TARGET}` must be {rule}")
            return request
        return replace(request, **{name: value})

    def _over(self, node_id: NodeId) -> Iterator[Swept]:
        pairs = self._pairs(node_id)
        if pairs is None:
            self._refuse(self._graph[node_id].origin, f"`over` of `{TARGET}` is a mapping from paths to ranges")
        for name, node, origin in pairs or ():
            try:
                yield self._swept(name, node, origin)
            except RangeError as problem:
                self._refuse(self._graph[node].origin, f"the range of `{name}` cannot be read: {problem}")

    def _swept(self, name: str, node_id: NodeId, origin: Origin) -> Swept:
        node = self._graph[node_id]
        if isinstance(node, Literal):
            return Swept(name, parse_range(_written(node.value)), origin=origin)
        groups = self._pairs(node_id)
        if groups is not None:
            together = {choice: self._set_together(name, value) for choice, value, _ in groups}
            return Swept(name, Range(Choices(tuple(together))), together, origin)
        items = [self._graph[item] for item in self._items(node_id)]
        texts = tuple(self._item(name, item) for item in items)
        if not texts or len(set(texts)) < len(texts):
            raise RangeError("a value is there twice" if texts else "it is empty")
        return Swept(name, Range(Choices(texts)), origin=origin)

    def _item(self, name: str, node: object) -> str:
        if isinstance(node, Literal):
            return _written(node.value)
        if isinstance(node, ListNode):
            return f"[{', '.join(self._item(name, self._graph[item]) for item in node.items)}]"
        raise RangeError("its choices are values, or lists of values")

    def _set_together(self, name: str, node_id: NodeId) -> dict[str, str]:
        pairs = self._pairs(node_id)
        if not pairs:
            raise RangeError(f"each choice of `{name}` is a mapping from paths to values")
        return {path: self._item(name, self._graph[value]) for path, value, _ in pairs}

    def _pairs(self, node_id: NodeId) -> list[tuple[str, NodeId, Origin]] | None:
        match self._graph[node_id]:
            case DictNode(entries=entries):
                return [(str(entry.key), entry.value, entry.origin) for entry in entries]
            case Call(keywords=keywords, positional=()) as call if call.callee.text == "named_dict":
                return [(keyword.name, keyword.value, keyword.origin) for keyword in keywords]
            case _:
                return None

    def _items(self, node_id: NodeId) -> tuple[NodeId, ...]:
        match self._graph[node_id]:
            case ListNode(items=items):
                return items
            case Call(positional=(only,)) as call if call.callee.text in ("named_list", "named_tuple"):
                return self._items(only)
            case _:
                raise RangeError("it is a text such as `log(1e-4, 1e-2)`, a list, or a mapping of choices")


def _written(value: object) -> str:
    """Returns a value as `--set` takes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) else repr(value)
