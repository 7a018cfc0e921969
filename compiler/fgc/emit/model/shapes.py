"""Numbers and names of a model's configuration that cannot work together: what its components would raise at run time.

Only what is known at build time is judged: a field that the program computes is nobody's mistake here.
"""

import ast
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.emit.model.components import ComponentLibrary, ComponentModule, Definition, constant
from fgc.emit.model.configuration import FieldPlan
from fgc.emit.model.request import ConfigEntry
from fgc.emit.model.values import Constant, Construction, Field, Operation, Table, Value, walk
from fgc.ir import Graph
from fgc.text import Origin

_CODE = "FGC416"
_WINDOW_FIELDS = {"every_layer": ("sliding_window",), "by_layer": ("sliding_window", "layer_types")}


class Shapes(Struct, frozen=True):
    """A described model, and where the template gives its fields."""

    graph: Graph
    library: ComponentLibrary
    model: Construction
    fields: Mapping[str, FieldPlan]
    entries: Mapping[str, ConfigEntry]
    attention: Sequence[str]

    def known(self, value: Value | None) -> object:
        """The scalar that a value is at build time; None if that is not known."""
        match value:
            case Constant():
                return value.value
            case Field(name=name) if name in self.fields:
                field = self.fields[name]
                return self.known(field.derived if field.derived is not None else field.default)
            case Operation(operator="//" | "*" as operator, left=left, right=right):
                numbers = (self.known(left), self.known(right))
                if not all(isinstance(number, int) and number for number in numbers):
                    return None
                first, second = numbers
                assert isinstance(first, int) and isinstance(second, int)
                return first // second if operator == "//" else first * second
            case _:
                return None

    def table(self, value: Value | None) -> Value | None:
        """A value, or what the field that it names is by default."""
        if not isinstance(value, Field) or value.name not in self.fields:
            return value
        field = self.fields[value.name]
        return field.derived if field.derived is not None else field.default

    def number(self, value: Value | None) -> int | None:
        found = self.known(value)
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def place(self, value: Value | None, user: Construction) -> Origin:
        """Where the template gives a value: its field, or else the component that it goes into."""
        if isinstance(value, Field) and value.name in self.entries:
            return self.graph[self.entries[value.name].value].origin
        return user.symbol.attribute_origin

    def parts(self) -> Iterator[tuple[Construction, Definition, dict[str, Value]]]:
        """The components that the model consists of, each once for every way it is described."""
        for part in dict.fromkeys(item for item in walk(self.model) if isinstance(item, Construction)):
            if isinstance(part.target, Definition):
                yield part, part.target, part.arguments


Rule = Callable[[Shapes], Iterator[Diagnostic]]
_RULES: list[Rule] = []


def shape_findings(shapes: Shapes) -> list[Diagnostic]:
    """What cannot work, by all rules."""
    return [finding for rule in _RULES for finding in rule(shapes)]


def _name(value: Value, number: int) -> str:
    return f"`{value.name}` ({number})" if isinstance(value, Field) else str(number)


@_RULES.append
def _uneven_divisions(shapes: Shapes) -> Iterator[Diagnostic]:
    for name, field in shapes.fields.items():
        for value in walk(field.derived) if field.derived is not None else ():
            if not isinstance(value, Operation) or value.operator != "//":
                continue
            whole, part = shapes.number(value.left), shapes.number(value.right)
            if whole is not None and part and whole % part:
                message = f"{_name(value.right, part)} does not divide {_name(value.left, whole)}, which `{name}` needs"
                owner = value.left if isinstance(value.left, Field) else value.right
                yield Diagnostic.at(shapes.place(owner, shapes.model), _CODE, message, help=f"or give `{name}` itself")


@_RULES.append
def _uneven_heads(shapes: Shapes) -> Iterator[Diagnostic]:
    for part, _, given in shapes.parts():
        heads, kv_heads = given.get("num_heads"), given.get("num_kv_heads")
        num_heads, num_kv_heads = shapes.number(heads), shapes.number(kv_heads)
        if heads is None or kv_heads is None or not num_heads or not num_kv_heads:
            continue
        if num_heads % num_kv_heads:
            message = f"{_name(kv_heads, num_kv_heads)} does not divide {_name(heads, num_heads)}"
            help_text = "each head of keys and values is shared by equally many query heads"
            yield Diagnostic.at(shapes.place(kv_heads, part), _CODE, message, help=help_text)


@_RULES.append
def _too_few_experts(shapes: Shapes) -> Iterator[Diagnostic]:
    for part, _, given in shapes.parts():
        chosen, experts = given.get("top_k"), given.get("num_experts")
        top_k, num_experts = shapes.number(chosen), shapes.number(experts)
        if part.target == shapes.model.target or chosen is None or experts is None:
            continue
        if top_k is not None and num_experts is not None and not 0 < top_k <= num_experts:
            message = f"{_name(chosen, top_k)} must be from 1 to {_name(experts, num_experts)}"
            yield Diagnostic.at(shapes.place(chosen, part), _CODE, message)
            return


@_RULES.append
def _unknown_activations(shapes: Shapes) -> Iterator[Diagnostic]:
    names = _activation_names()
    for part, component, given in shapes.parts():
        activation = given.get("activation")
        name = shapes.known(activation)
        if "ACT2FN" in component.module.imports and isinstance(name, str) and names and name not in names:
            help_text = did_you_mean(name, names) or "transformers knows " + ", ".join(names)
            message = f"no activation is called `{name}`"
            yield Diagnostic.at(shapes.place(activation, part), _CODE, message, help=help_text)
            return


@_RULES.append
def _other_rotary_positions(shapes: Shapes) -> Iterator[Diagnostic]:
    for part, component, given in shapes.parts():
        value = given.get("rope_parameters")
        table = shapes.table(value)
        computed = constant(component, "rope_type")
        if computed is None or not isinstance(table, Table):
            continue
        wanted = next((shapes.known(item) for key, item in table.entries if key.value == "rope_type"), None)
        if wanted is not None and wanted != computed:
            message = f"`{component.name}` computes positions of the rope_type `{computed}`, not `{wanted}`"
            others = [name for name in component.module.definitions if _computes(component.module, name, wanted)]
            help_text = f"write `.{component.module.name}:{others[0]}` in [positional_encoding]" if others else None
            yield Diagnostic.at(part.symbol.attribute_origin, _CODE, message, help=help_text)
        share = next((shapes.known(item) for key, item in table.entries if key.value == "partial_rotary_factor"), None)
        if share not in (None, 1, 1.0):
            message = f"`partial_rotary_factor` ({share}) must be 1: `{component.name}` turns all channels of a head"
            yield Diagnostic.at(shapes.place(value, part), _CODE, message)
        head_dim = shapes.number(given.get("head_dim"))
        if head_dim is not None and head_dim % 2:
            message = f"`head_dim` is {head_dim}, but rotary positions turn channels in pairs"
            yield Diagnostic.at(shapes.place(given.get("head_dim"), part), _CODE, message)


def _computes(module: ComponentModule, name: str, rope_type: object) -> bool:
    return constant(Definition(module, name), "rope_type") == rope_type


@_RULES.append
def _soft_caps_in_sdpa(shapes: Shapes) -> Iterator[Diagnostic]:
    for part, _, given in shapes.parts():
        softcap = given.get("softcap")
        if softcap is not None and softcap != Constant.of(None) and "sdpa" in shapes.attention:
            message = "sdpa cannot press scores into a soft cap"
            others = [name for name in shapes.attention if name != "sdpa"]
            help_text = f"`attention_implementations: [ {', '.join(others)} ]` in [model_code_generator]"
            yield Diagnostic.at(part.symbol.attribute_origin, _CODE, message, help=help_text)
            return


@_RULES.append
def _windows_without_a_size(shapes: Shapes) -> Iterator[Diagnostic]:
    for part, component, given in shapes.parts():
        windows = shapes.known(given.get("windows"))
        for name in _WINDOW_FIELDS.get(str(windows), ()):
            if name not in shapes.fields:
                message = f"`{component.name}` with `windows: {windows}` needs the configuration field `{name}`"
                yield Diagnostic.at(part.symbol.attribute_origin, _CODE, message)


@lru_cache(maxsize=1)
def _activation_names() -> tuple[str, ...]:
    """The keys of transformers' ACT2CLS, read from its file; none if it is not installed."""
    spec = importlib.util.find_spec("transformers")
    file = None if spec is None or spec.origin is None else Path(spec.origin).with_name("activations.py")
    if file is None or not file.is_file():
        return ()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="ACT2CLS")], value=ast.Dict(keys=keys)):
                return tuple(sorted(str(key.value) for key in keys if isinstance(key, ast.Constant)))
            case _:
                pass
    return ()
