"""The target `dynamic_args` of a configuration to the command-line options that it declares.

Each entry has the name of the template variable that it sets, and words of argparse. Parses no command line.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fgc.diagnostics import Diagnostic, Outcome, Severity, did_you_mean
from fgc.ir import Call, Deferred, DictNode, Graph, ListNode, Literal, NodeId
from fgc.text import Origin

TARGET = "dynamic_args"
TYPES = ("str", "int", "float", "bool", "path")
ACTIONS = ("store", "store_true", "store_false", "append")
_KEYS = ("names", "type", "choices", "help", "action", "nargs", "metavar", "default")


@dataclass(frozen=True, slots=True)
class DynamicArgument:
    """An option: the template variable that it sets, how it is spelt, what it takes."""

    variable: str
    names: tuple[str, ...]
    type: str = "str"
    choices: tuple[str | int | float, ...] = ()
    help: str | None = None
    action: str = "store"
    nargs: str | int | None = None
    metavar: str | None = None


def dynamic_arguments(graph: Graph) -> Outcome[tuple[DynamicArgument, ...]]:
    """All options; a wrong entry is left out and is a finding at its line."""
    target = graph.targets.get(TARGET)
    if target is None:
        return Outcome(())
    reader = _Reader(graph)
    pairs = reader.pairs(target)
    if pairs is None:
        message = f"`{TARGET}` is a mapping from names of template variables to entries"
        reader.refuse(graph[target].origin, message)
        pairs = []
    found = [reader.argument(name, node, origin) for name, node, origin in pairs]
    return Outcome(tuple(argument for argument in found if argument is not None), tuple(reader.diagnostics))


class _Reader:
    """Reads entries; collects what is wrong with them."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._spelt: set[str] = set()
        self.diagnostics: list[Diagnostic] = []

    def refuse(self, origin: Origin, message: str, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic.at(origin, "FGC405", message, help=help))

    def pairs(self, node_id: NodeId) -> list[tuple[str, NodeId, Origin]] | None:
        """The entries of a mapping, or of `!dict`."""
        match self._graph[node_id]:
            case DictNode(entries=entries):
                return [(str(entry.key), entry.value, entry.origin) for entry in entries]
            case Call(keywords=keywords, positional=()) as call if call.callee.text == "named_dict":
                return [(keyword.name, keyword.value, keyword.origin) for keyword in keywords]
            case _:
                return None

    def argument(self, name: str, node: NodeId, origin: Origin) -> DynamicArgument | None:
        """One entry, or None if it is wrong."""
        pairs = self.pairs(node)
        count = len(self.diagnostics)
        if not name.isidentifier() or name in ("True", "False", "None"):  # YAML reads `on` as true
            self.refuse(origin, f"`{name}` cannot be the name of a template variable")
        if pairs is None:
            self.refuse(origin, f"entry `{name}` of `{TARGET}` is a mapping, with keys such as `names` and `type`")
            return None
        fields = {key: self._value(value) for key, value, _ in pairs}
        for key, _, place in pairs:
            self._check_key(name, key, fields, place)
        if any(found.severity is Severity.ERROR for found in self.diagnostics[count:]):
            return None
        return _argument(name, fields)

    def _check_key(self, name: str, key: str, fields: dict[str, object], place: Origin) -> None:
        if key not in _KEYS:
            self.refuse(place, f"entry `{name}` of `{TARGET}` has no `{key}`", did_you_mean(key, _KEYS))
        elif key == "default":
            message = f"`default` of `{name}` has no effect: an option that is not given sets no variable"
            help = f"write `{{{{ {name} | default(...) }}}}` where the variable is used"
            self.diagnostics.append(Diagnostic.at(place, "FGC405", message, severity=Severity.WARNING, help=help))
        elif not _RULES[key][0](fields[key]):
            self.refuse(place, f"`{key}` of `{name}` must be {_RULES[key][1]}, not {fields[key]!r:.60}")
        elif key == "names":
            for spelt in _names(fields[key]):
                if spelt in self._spelt:
                    self.refuse(place, f"option `{spelt}` is declared twice")
                self._spelt.add(spelt)

    def _value(self, node_id: NodeId) -> object:
        match self._graph[node_id]:
            case Literal(value=value):
                return value
            case Deferred(text=text):
                return text
            case ListNode(items=items):
                return [self._value(item) for item in items]
            case Call(positional=(only,)) as call if call.callee.text in ("named_list", "named_tuple"):
                return self._value(only)
            case node:
                return node


def _argument(name: str, fields: dict[str, object]) -> DynamicArgument:
    choices = fields.get("choices") or []
    nargs, help, metavar = fields.get("nargs"), fields.get("help"), fields.get("metavar")
    assert isinstance(choices, list), "choices were checked"
    return DynamicArgument(
        variable=name,
        names=tuple(_names(fields["names"])) if "names" in fields else (f"--{name.replace('_', '-')}",),
        type=str(fields.get("type", "str")),
        choices=tuple(choices),
        help=None if help is None else str(help),
        action=str(fields.get("action", "store")),
        nargs=nargs if isinstance(nargs, (str, int)) else None,
        metavar=None if metavar is None else str(metavar),
    )


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else [str(value)]


def _is_names(value: object) -> bool:
    items = value if isinstance(value, list) else [value]
    return bool(items) and all(isinstance(name, str) and name.startswith("-") and name.strip("-") for name in items)


def _is_list_of_scalars(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value)


_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "names": (_is_names, "an option such as `--max-steps`, or a list of them"),
    "type": (lambda value: value in TYPES, f"one of {', '.join(TYPES)}"),
    "choices": (_is_list_of_scalars, "a list of texts or numbers"),
    "help": (lambda value: isinstance(value, str), "a text"),
    "action": (lambda value: value in ACTIONS, f"one of {', '.join(ACTIONS)}"),
    "nargs": (lambda value: value in ("?", "*", "+") or (type(value) is int and value > 0), "a count, or ?, * or +"),
    "metavar": (lambda value: isinstance(value, str), "a text"),
}
