"""The values of a model to one plan per generated class: its name, its parameters, and what is written into it.

Constructions of one component become one class, unless other parts go into them. What is the same everywhere is
written into the class; what differs, or comes from the class around it, stays a parameter.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from fgc.emit.model.components import ComponentLibrary, Definition, Parameter, Signature
from fgc.emit.model.handover import CallShape, call_shapes
from fgc.emit.model.values import Constant, Construction, Value, fields_of, has_construction, walk

_MAX_PLAIN_ARGUMENTS = 2  # a part with few arguments reads better with them: RMSNorm(config.hidden_size, eps=...)

ClassKey = tuple[Definition, tuple[tuple[str, Value], ...]]


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """How one class is generated from its component.

    `written` are the values that replace parameters; `parameters` those that stay, in order.
    """

    definition: Definition
    name: str
    signature: Signature
    written: Mapping[str, Value]
    parameters: tuple[Parameter, ...]
    takes_config: bool


def class_key(part: Construction) -> ClassKey:
    """Constructions with the same key become the same class."""
    assert isinstance(part.target, Definition), f"{part.symbol.text} is not a component"
    return part.target, tuple((name, value) for name, value in part.keywords if has_construction(value))


class Plans:
    """The plans of all classes of a model, leaf classes first."""

    def __init__(self, model: Construction, library: ComponentLibrary, name_of: Callable[[Definition], str]) -> None:
        self._library = library
        self._uses: dict[ClassKey, list[Construction]] = {}
        self._handed: dict[ClassKey, list[CallShape]] = {}
        self._collect(model)
        self.names = _class_names(self._uses, name_of)
        self._plans: dict[ClassKey, ClassPlan] = {}
        for key in self._uses:
            self._plans[key] = self._plan(key)

    def __getitem__(self, part: Construction) -> ClassPlan:
        return self._plans[class_key(part)]

    def __iter__(self) -> Iterator[ClassPlan]:
        return iter(self._plans.values())

    def needs_config(self, value: Value) -> bool:
        """Whether the expression of a value mentions the model's configuration."""
        if fields_of(value):
            return True
        return any(is_class(item) and self[item].takes_config for item in walk(value) if isinstance(item, Construction))

    def _collect(self, part: Construction) -> None:
        """Children first, so that plans can ask the plans of their parts."""
        shapes = call_shapes(part.target, self._library) if isinstance(part.target, Definition) else {}
        for name, value in (*(("", item) for item in part.positional), *part.keywords):
            for item in walk(value):
                if isinstance(item, Construction):
                    self._collect(item)
                    if item is value and is_class(item):
                        self._handed.setdefault(class_key(item), []).extend(shapes.get(name, []))
        if is_class(part):
            uses = self._uses.setdefault(class_key(part), [])
            if part not in uses:
                uses.append(part)

    def _plan(self, key: ClassKey) -> ClassPlan:
        definition, structure = key
        signature = self._library.signature(definition)
        takes_config = "config" in signature.by_name
        shapes, uses = self._handed.get(key, []), self._uses[key]
        handed = {name for use in uses for shape in shapes for name in shape.bind(signature, use.arguments)}
        has_few_arguments = self._num_arguments(key) <= _MAX_PLAIN_ARGUMENTS
        is_plain = not signature.is_own or (has_few_arguments and not takes_config and not structure)
        written: dict[str, Value] = {}
        for parameter in signature.parameters:
            value = self._common(key, parameter)
            if value is None or parameter.name in handed or parameter.name == "config" or not signature.is_own:
                continue
            if not is_plain or _is_flag(value):
                written[parameter.name] = value
        kept = tuple(p for p in signature.parameters if p.name not in written and p.name != "config")
        takes_config = takes_config or any(self.needs_config(value) for value in written.values())
        return ClassPlan(definition, self.names[key], signature, written, kept, takes_config)

    def _num_arguments(self, key: ClassKey) -> int:
        return len({name for use in self._uses[key] for name, value in use.keywords if not _is_flag(value)})

    def _common(self, key: ClassKey, parameter: Parameter) -> Value | None:
        """The value that a parameter has in all constructions of a class, if it is one."""
        default = _literal(parameter.default)
        values = {use.arguments.get(parameter.name, default) for use in self._uses[key]}
        return values.pop() if len(values) == 1 else None


def is_class(part: Construction) -> bool:
    return isinstance(part.target, Definition) and part.target.is_class


def _is_flag(value: Value) -> bool:
    """Switches are written into a class even where it keeps its other parameters."""
    return isinstance(value, Constant) and (value.value is None or isinstance(value.value, bool))


def _literal(default: ast.expr | None) -> Constant | None:
    """The value of a default that a configuration could have written."""
    match default:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return Constant.of(value)
        case _:
            return None


def _class_names(keys: Iterable[ClassKey], name_of: Callable[[Definition], str]) -> dict[ClassKey, str]:
    """The component's own name; a second class of the same component gets a number."""
    names: dict[ClassKey, str] = {}
    counts: dict[str, int] = {}
    for key in keys:
        base = name_of(key[0])
        counts[base] = counts.get(base, 0) + 1
        names[key] = base if counts[base] == 1 else f"{base}{counts[base]}"
    return names
