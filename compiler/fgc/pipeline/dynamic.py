"""The target `dynamic_args` of a configuration to the command-line options that it declares.

It is a list of entries, usually a `!dlist`, or a mapping from template variables to entries; an entry has words of
argparse. Parses no command line.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias, TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Outcome, Severity, did_you_mean
from fgc.ir import Call, Deferred, DictNode, Graph, ListNode, Literal, NodeId, Option, Scalar, display_type
from fgc.text import Origin

TARGET = "dynamic_args"
TYPES = ("str", "int", "float", "bool", "path")
ACTIONS = ("store", "store_const", "store_true", "store_false", "append", "append_const", "extend", "count")
KEYS = ("names", "type", "choices", "help", "action", "nargs", "metavar", "const", "required", "default")

_Fields: TypeAlias = dict[str, tuple[object, Origin]]


class DynamicArgument(Option, frozen=True):
    """An option with the place of its entry, and what only the command line asks."""

    is_required: bool = False
    origin: Origin | None = None
    default: tuple[object, Origin] | None = None  # what the entry says and where; it sets no variable


class _Entry(Struct, frozen=True):
    """One entry; `variable` is its key in the mapping form. In a list the first long option names the variable."""

    variable: str | None
    node: NodeId
    origin: Origin


def dynamic_arguments(graph: Graph) -> Outcome[tuple[DynamicArgument, ...]]:
    """Returns all options; a wrong entry is left out and is a finding at its line."""
    target = graph.targets.get(TARGET)
    if target is None:
        return Outcome(())
    reader = _Reader(graph)
    found = [reader.argument(entry) for entry in reader.entries(target)]
    told = () if target in graph.broken else tuple(reader.diagnostics)
    return Outcome(tuple(argument for argument in found if argument is not None), told)


def unread_options(
    declared: Iterable[DynamicArgument],
    asked: Collection[str],
    is_read_elsewhere: Callable[[str], bool],
) -> list[Diagnostic]:
    """Returns a warning for each option whose variable no template reads; `asked` are the names that they read.

    A template that several configurations share may declare what only some of them read.
    """
    found = []
    for argument in declared:
        is_read = argument.variable in asked or argument.origin is None
        if not is_read and not is_read_elsewhere(argument.variable):
            assert argument.origin is not None, "an option without a place is not asked about"
            message = f"no template reads `{argument.variable}`, which `{argument.names[0]}` sets"
            rest = set(asked) - {other.variable for other in declared}
            help = did_you_mean(argument.variable, rest) or f"write `{{{{ {argument.variable} | default(...) }}}}`"
            place = argument.origin
            found.append(Diagnostic.at(place, "FGC417", message, severity=Severity.WARNING, help=help))
    return found


def idle_defaults(
    declared: Iterable[DynamicArgument], asked: Mapping[str, Sequence[object]], undefined: Collection[str]
) -> list[Diagnostic]:
    """Returns a warning for each `default` of an option that is not what templates take where it is not given.

    `asked`: the names that templates read, with the defaults that they give; `undefined`: names without any.
    """
    found = []
    for argument in declared:
        taken = asked.get(argument.variable)
        if argument.default is None or taken is None or argument.variable in undefined:
            continue
        value, place = argument.default
        others = list(dict.fromkeys(_shown(item) for item in taken if item != value and str(item) != str(value)))
        if others or not taken:
            reason = f"templates take {', '.join(others)}" if others else "an option that is not given sets no variable"
            message = f"`default` of `{argument.names[0]}` has no effect: {reason}"
            help = f"write `{{{{ {argument.variable} | default({_shown(value)}) }}}}` where the variable is used"
            found.append(Diagnostic.at(place, "FGC405", message, severity=Severity.WARNING, help=help))
    return found


def _shown(value: object) -> str:
    """Returns a value as a template writes it."""
    return repr(str(value)) if isinstance(value, str) else f"{value!r:.60}"


class _Reader:
    """Reads entries; collects what is wrong with them."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._spelt: set[str] = set()
        self._variables: set[str] = set()
        self.diagnostics: list[Diagnostic] = []

    def refuse(self, origin: Origin, message: str, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic.at(origin, "FGC405", message, help=help))

    def warn(self, origin: Origin, message: str, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic.at(origin, "FGC405", message, severity=Severity.WARNING, help=help))

    def entries(self, target: NodeId) -> list[_Entry]:
        """The entries of the target; nothing, an empty list and an empty mapping declare none."""
        pairs = self._pairs(target)
        if pairs is not None:
            return [_Entry(name, node, origin) for name, node, origin in pairs]
        items = self._items(target)
        if items is not None:
            return [_Entry(None, item, self._graph[item].origin) for item in items]
        node = self._graph[target]
        if not (isinstance(node, Literal) and node.value is None):
            message = f"`{TARGET}` is a list of entries, or a mapping from names of template variables to entries"
            self.refuse(node.origin, message, "write `- { names: --max-steps, type: int }`, one line for each option")
        return []

    def _pairs(self, node_id: NodeId) -> list[tuple[str, NodeId, Origin]] | None:
        """The entries of a mapping, or of `!dict`."""
        match self._graph[node_id]:
            case DictNode(entries=entries):
                return [(str(entry.key), entry.value, entry.origin) for entry in entries]
            case Call(keywords=keywords, positional=()) as call if display_type(call) is dict:
                return [(keyword.name, keyword.value, keyword.origin) for keyword in keywords]
            case _:
                return None

    def _items(self, node_id: NodeId) -> tuple[NodeId, ...] | None:
        """The items of a list, or of `!list`, `!tuple` and `!dlist`."""
        match self._graph[node_id]:
            case ListNode(items=items):
                return items
            case Call(positional=(only,)) as call if display_type(call) in (list, tuple):
                return self._items(only)
            case _:
                return None

    def argument(self, entry: _Entry) -> DynamicArgument | None:
        """One entry, or None if it is wrong."""
        if entry.node in self._graph.broken:
            return None
        pairs = self._pairs(entry.node)
        if pairs is None:
            shown = f"entry `{entry.variable}`" if entry.variable is not None else "an entry"
            self.refuse(entry.origin, f"{shown} of `{TARGET}` is a mapping, with keys such as `names` and `type`")
            return None
        count = len(self.diagnostics)
        fields = {key: (self._value(value), self._graph[value].origin) for key, value, _ in pairs}
        for key, _, origin in pairs:
            self._check_key(_label(entry, fields), key, fields[key], origin)
        if self._has_errors_since(count):
            return None
        variable, place = _variable(entry, fields)
        if not self._is_variable(variable, place, is_key=entry.variable is not None):
            return None
        argument = _argument(variable, {key: value for key, (value, _) in fields.items()})
        default = next(((fields[key][0], origin) for key, _, origin in pairs if key == "default"), None)
        argument = replace(argument, origin=place, default=default)
        self._check_together(argument, fields)
        return argument

    def _has_errors_since(self, count: int) -> bool:
        return any(found.severity is Severity.ERROR for found in self.diagnostics[count:])

    def _check_key(self, label: str, key: str, field: tuple[object, Origin], place: Origin) -> None:
        value, value_place = field
        if key not in KEYS:
            help = did_you_mean(key, KEYS) or f"it has {', '.join(f'`{known}`' for known in KEYS)}"
            self.refuse(place, f"entry {label} of `{TARGET}` has no `{key}`", help)
        elif key == "default":
            pass  # `idle_defaults` looks at it
        elif not _RULES[key][0](value):
            owner = label if label.startswith("`") else "an entry"
            self.refuse(value_place, f"`{key}` of {owner} must be {_RULES[key][1]}, not {_kind(value)}")
        elif key == "names":
            for spelt in _names(value):
                if spelt in self._spelt:
                    self.refuse(value_place, f"option `{spelt}` is declared twice")
                self._spelt.add(spelt)

    def _is_variable(self, variable: str, place: Origin, *, is_key: bool) -> bool:
        """Returns True for a name that templates can read and no other option sets."""
        if not variable:
            self.refuse(place, f"an entry of `{TARGET}` lacks `names`", "write `names: --max-steps`")
        elif not variable.isidentifier() or variable in ("True", "False", "None"):  # YAML reads `on` as true
            report = self.refuse if is_key else self.warn  # argparse takes any name; no template can read this one
            help = _plain_option(variable)
            report(place, f"`{variable}` cannot be the name of a template variable: the option has no effect", help)
        elif variable in self._variables:
            self.refuse(place, f"two options set the variable `{variable}`", "rename one of them")
        else:
            self._variables.add(variable)
            return True
        return False

    def _check_together(self, argument: DynamicArgument, fields: _Fields) -> None:
        """Warns of values that are valid alone and have no effect together."""
        for choice in argument.choices:
            if not _is_of_type(choice, argument.type):
                shown = str(choice).lower() if isinstance(choice, bool) else repr(choice)
                message = f"no value of type `{argument.type}` is the choice {shown}: it can never be chosen"
                self.warn(fields["choices"][1], message, "quote a choice that is a text, or write its `type`")
        if argument.action.endswith("_const") and "const" not in fields:
            self.warn(fields["action"][1], f"`action: {argument.action}` gives `none` without a `const`")

    def _value(self, node_id: NodeId) -> object:
        match self._graph[node_id]:
            case Literal(value=value):
                return value
            case Deferred(text=text):
                return text
            case node:
                items = self._items(node_id)
                return node if items is None else [self._value(item) for item in items]


def _kind(value: object) -> str:
    """Returns a value as a finding names it."""
    if isinstance(value, list):
        odd = next((item for item in value if not isinstance(item, (str, int, float))), None)
        return (
            "an empty list" if not value else f"a list with {_kind(odd)} in it" if odd is not None else f"{value!r:.60}"
        )
    if isinstance(value, DictNode):
        return "a mapping"
    return f"{value!r:.60}" if _is_scalar(value) else "a call" if isinstance(value, Call) else "such a value"


def _plain_option(variable: str) -> str | None:
    """Returns what to write for an option whose name has other characters around a good one: `--max-steps"`."""
    plain = variable.strip("\"'`,;:")
    return f"write `--{plain.replace('_', '-')}`" if plain != variable and plain.isidentifier() else None


def _label(entry: _Entry, fields: _Fields) -> str:
    """Returns the name of an entry in findings: its variable, else its first option."""
    if entry.variable is not None:
        return f"`{entry.variable}`"
    names = fields["names"][0] if "names" in fields else None
    return f"`{_names(names)[0]}`" if _is_names(names) else "without `names`"


def _variable(entry: _Entry, fields: _Fields) -> tuple[str, Origin]:
    """The variable that an entry sets, and what names it: its key, else its first long option, as argparse has it."""
    if entry.variable is not None:
        return entry.variable, entry.origin
    if "names" not in fields:
        return "", entry.origin
    names, place = _names(fields["names"][0]), fields["names"][1]
    long = next((name for name in names if name.startswith("--")), names[0])
    return long.lstrip("-").replace("-", "_"), place


def _argument(variable: str, values: dict[str, object]) -> DynamicArgument:
    choices = values.get("choices") or []
    nargs, help, metavar, const = (values.get(key) for key in ("nargs", "help", "metavar", "const"))
    assert isinstance(choices, list) and _is_scalar(const), "they were checked"
    return DynamicArgument(
        variable=variable,
        names=tuple(_names(values["names"])) if "names" in values else (f"--{variable.replace('_', '-')}",),
        type=str(values.get("type", "str")),
        choices=tuple(choices),
        help=None if help is None else str(help),
        action=str(values.get("action", "store")),
        nargs=nargs if isinstance(nargs, (str, int)) else None,
        metavar=None if metavar is None else str(metavar),
        const=const,
        is_required=values.get("required") is True,
    )


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else [str(value)]


def _is_names(value: object) -> bool:
    items = value if isinstance(value, list) else [value]
    return bool(items) and all(isinstance(name, str) and name.startswith("-") and name.strip("-") for name in items)


def _is_scalar(value: object) -> TypeGuard[Scalar]:
    return value is None or isinstance(value, (str, int, float))


def _is_list_of_scalars(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value)


def _is_of_type(choice: str | int | float, type_name: str) -> bool:
    """Returns True if a word of the command line can become this choice."""
    if type_name == "bool":
        return isinstance(choice, bool)
    if isinstance(choice, bool) or isinstance(choice, str) is not (type_name in ("str", "path")):
        return False
    return type_name != "int" or isinstance(choice, int) or float(choice).is_integer()


_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "names": (_is_names, "an option such as `--max-steps`, or a list of them"),
    "type": (lambda value: value in TYPES, f"one of {', '.join(TYPES)}"),
    "choices": (_is_list_of_scalars, "a list of texts or numbers"),
    "help": (lambda value: isinstance(value, str), "a text"),
    "action": (lambda value: value in ACTIONS, f"one of {', '.join(ACTIONS)}"),
    "nargs": (lambda value: value in ("?", "*", "+") or (type(value) is int and value > 0), "a count, or ?, * or +"),
    "metavar": (lambda value: isinstance(value, str), "a text"),
    "const": (_is_scalar, "a text, a number, a boolean or null"),
    "required": (lambda value: isinstance(value, bool), "true or false"),
}
