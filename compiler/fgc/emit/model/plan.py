"""Plans each generated class of a model: its name, its parameters, and the values that are written into it.

Constructions of one component become one class, unless they contain different parts. A value that is the same in all
of them is written into the class. One that differs, or comes from the enclosing class, stays a parameter.
"""

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from fgc.emit.model.components import ComponentLibrary, ComponentParameter, ComponentSignature, Definition
from fgc.emit.model.handover import CallShape, call_shapes
from fgc.emit.model.values import Constant, PartConstruction, Value, fields_of, has_construction, walk

_MAX_PLAIN_ARGUMENTS = 2  # a part with few arguments keeps them as parameters: RMSNorm(config.hidden_size, eps=...)

ClassKey = tuple[Definition, tuple[tuple[str, Value], ...]]


class ClassPlan(Struct, frozen=True):
    """The way one class is generated from its component.

    `written` are the values that replace parameters; `parameters` are those that stay, in order. A class with an
    inherited constructor has the plan of the defining class as `base`, and is not rewritten itself.
    """

    definition: Definition
    name: str
    signature: ComponentSignature
    written: Mapping[str, Value]
    parameters: tuple[ComponentParameter, ...]
    takes_config: bool
    base: "ClassPlan | None" = None


def class_key(part: PartConstruction) -> ClassKey:
    """Returns the key of a construction; equal keys become one class."""
    assert isinstance(part.target, Definition), f"{part.symbol.text} is not a component"
    return part.target, tuple((name, value) for name, value in part.keywords if has_construction(value))


class Plans:
    """The plans of all classes of a model, leaf classes first."""

    def __init__(
        self,
        model: PartConstruction,
        library: ComponentLibrary,
        name_of: Callable[[Definition], str],
        set_fields: Collection[str] = (),
    ) -> None:
        """`set_fields` are the fields of the configuration that are never None."""
        self.set_fields = frozenset(set_fields)
        self._library = library
        self._uses: dict[ClassKey, list[PartConstruction]] = {}
        self._handed: dict[ClassKey, list[CallShape]] = {}
        self._collect(model, [])
        names = _class_names(self._uses, name_of)
        self._plans: dict[ClassKey, ClassPlan] = {}
        for key in self._uses:
            self._plans[key] = self._plan(key, names[key])

    def __getitem__(self, part: PartConstruction) -> ClassPlan:
        return self._plans[class_key(part)]

    def __iter__(self) -> Iterator[ClassPlan]:
        return iter(self._plans.values())

    def needs_config(self, value: Value) -> bool:
        """Returns True if the expression of a value mentions the model's configuration."""
        if fields_of(value):
            return True
        return any(self._takes_config(item) for item in walk(value) if isinstance(item, PartConstruction))

    def takes_config(self, function: Definition) -> bool:
        """Returns True if a component function has a parameter for the model's configuration."""
        return "config" in self._library.signature(function).by_name

    def _takes_config(self, part: PartConstruction) -> bool:
        if not isinstance(part.target, Definition):
            return False
        return self[part].takes_config if is_class(part) else self.takes_config(part.target)

    def _collect(self, part: PartConstruction, handed: list[CallShape]) -> None:
        """Collects the uses of each class, children first, so that a plan can use those of its parts."""
        shapes = call_shapes(part.target, self._library) if isinstance(part.target, Definition) else {}
        for name, value in (*(("", item) for item in part.positional), *part.keywords):
            if isinstance(value, PartConstruction):
                self._collect(value, shapes.get(name, []))
                continue
            for item in walk(value):
                if isinstance(item, PartConstruction):
                    self._collect(item, [])
        if is_class(part):
            self._use(part, handed)

    def _use(self, part: PartConstruction, handed: list[CallShape]) -> None:
        key = class_key(part)
        owner = self._library.signature(key[0]).owner
        if owner is not None and owner != key[0]:
            self._use(replace(part, target=owner), handed)
        self._handed.setdefault(key, []).extend(handed)
        uses = self._uses.setdefault(key, [])
        if part not in uses:
            uses.append(part)

    def _plan(self, key: ClassKey, name: str) -> ClassPlan:
        definition, structure = key
        signature = self._library.signature(definition)
        if signature.owner is not None and signature.owner != definition:
            base = self._plans[signature.owner, structure]
            return replace(base, definition=definition, name=name, base=base)
        written = self._written(key, signature)
        kept = tuple(p for p in signature.parameters if p.name not in written and p.name != "config")
        takes_config = "config" in signature.by_name or any(self.needs_config(value) for value in written.values())
        return ClassPlan(definition, name, signature, written, kept, takes_config)

    def _written(self, key: ClassKey, signature: ComponentSignature) -> dict[str, Value]:
        """Returns the values that need no parameter: equal in every use, and not passed by the enclosing class."""
        uses, shapes = self._uses[key], self._handed[key]
        handed = {name for use in uses for shape in shapes for name in shape.bind(signature, use.arguments)}
        arguments = {name for use in uses for name, value in use.keywords if not _is_flag(value)}
        is_plain = len(arguments) <= _MAX_PLAIN_ARGUMENTS and "config" not in signature.by_name and not key[1]
        written: dict[str, Value] = {}
        for parameter in signature.parameters:
            value = _common(uses, parameter)
            if value is None or parameter.name in {*handed, "config"} or (is_plain and not _is_flag(value)):
                continue
            written[parameter.name] = value
        return written


def _common(uses: list[PartConstruction], parameter: ComponentParameter) -> Value | None:
    """Returns the value that a parameter has in all uses of a class; None if they differ."""
    default = _literal(parameter.default)
    values = {use.arguments.get(parameter.name, default) for use in uses}
    return values.pop() if len(values) == 1 else None


def is_class(part: PartConstruction) -> bool:
    return isinstance(part.target, Definition) and part.target.is_class


def _is_flag(value: Value) -> bool:
    """Returns True for a switch, which is written into a class even if other parameters stay."""
    return isinstance(value, Constant) and (value.value is None or isinstance(value.value, bool))


def _literal(default: ast.expr | None) -> Constant | None:
    """Returns the value of a default that is a literal."""
    match default:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return Constant.of(value)
        case _:
            return None


def _class_names(keys: Iterable[ClassKey], name_of: Callable[[Definition], str]) -> dict[ClassKey, str]:
    """Returns a name for each class: the component's, with a number for a second class of it."""
    names: dict[ClassKey, str] = {}
    counts: dict[str, int] = {}
    for key in keys:
        base = name_of(key[0])
        counts[base] = counts.get(base, 0) + 1
        names[key] = base if counts[base] == 1 else f"{base}{counts[base]}"
    return names
