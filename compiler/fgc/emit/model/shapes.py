"""Finds numbers and names of a model's configuration that cannot work together, which would fail at run time.

Only values known at build time are checked, not fields that the program computes.
"""

import ast
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.emit.model.components import ComponentLibrary, Definition, constant
from fgc.emit.model.configuration import FieldPlan
from fgc.emit.model.request import ConfigEntry
from fgc.emit.model.values import Constant, ConstantTable, Field, Operation, PartConstruction, Value, walk
from fgc.ir import Graph
from fgc.text import Origin

_CODE = "FGC416"
_WINDOW_FIELDS = {"every_layer": ("sliding_window",), "by_layer": ("sliding_window", "layer_types")}


class Shapes(Struct, frozen=True):
    """A described model, with the places of its fields in the template."""

    graph: Graph
    library: ComponentLibrary
    model: PartConstruction
    fields: Mapping[str, FieldPlan]
    entries: Mapping[str, ConfigEntry]
    attention: Sequence[str]

    def known(self, value: Value | None) -> object:
        """Returns the scalar that a value has at build time; None if it is not known."""
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
        """Returns a value, or the default of the field that it names."""
        if isinstance(value, Operation) and value.operator == "[]":
            table, key = self.table(value.left), self.known(value.right)
            entries = table.entries if isinstance(table, ConstantTable) else ()
            return next((item for name, item in entries if name.value == key), None)
        if not isinstance(value, Field) or value.name not in self.fields:
            return value
        field = self.fields[value.name]
        return field.derived if field.derived is not None else field.default

    def entry(self, table: Value | None, key: str) -> object:
        """Returns the scalar under a key of a mapping; None if it is not known."""
        entries = table.entries if isinstance(table, ConstantTable) else ()
        return next((self.known(item) for name, item in entries if name.value == key), None)

    def number(self, value: Value | None) -> int | None:
        found = self.known(value)
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def place(self, value: Value | None, user: PartConstruction) -> Origin:
        """Returns the place of a value in the template: its field, or else the component that receives it."""
        if isinstance(value, Field) and value.name in self.entries:
            return self.graph[self.entries[value.name].value].origin
        return user.symbol.attribute_origin

    def parts(self) -> Iterator[tuple[PartConstruction, Definition, dict[str, Value]]]:
        """Yields the components of the model, each once for every different description."""
        for part in dict.fromkeys(item for item in walk(self.model) if isinstance(item, PartConstruction)):
            if isinstance(part.target, Definition):
                yield part, part.target, part.arguments


Rule = Callable[[Shapes], Iterator[Diagnostic]]
_RULES: list[Rule] = []


def shape_findings(shapes: Shapes) -> list[Diagnostic]:
    """Returns the findings of all rules."""
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
def _impossible_rotary_positions(shapes: Shapes) -> Iterator[Diagnostic]:
    for part, component, given in shapes.parts():
        if constant(component, "rope_type") is None:
            continue
        value = given.get("rope_parameters")
        table = shapes.table(value)
        wanted = shapes.entry(table, "rope_type")
        known = _rope_types()
        if isinstance(wanted, str) and known and wanted not in known:
            help_text = did_you_mean(wanted, known) or "transformers knows " + ", ".join(known)
            message = f"no rotary positions have the rope_type `{wanted}`"
            yield Diagnostic.at(shapes.place(value, part), _CODE, message, help=help_text)
        head_dim, share = shapes.number(given.get("head_dim")), shapes.entry(table, "partial_rotary_factor")
        turned = int(head_dim * share) if isinstance(share, float) and head_dim is not None else head_dim
        if turned is not None and turned % 2:
            whole = (
                f"`head_dim` is {head_dim}" if share is None else f"`head_dim` ({head_dim}) times {share} is {turned}"
            )
            message = f"{whole}, but rotary positions turn channels in pairs"
            yield Diagnostic.at(shapes.place(given.get("head_dim"), part), _CODE, message)


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


def _activation_names() -> tuple[str, ...]:
    """Returns the keys of transformers' ACT2CLS."""
    return tuple(sorted(_keys_in_transformers("activations.py", "ACT2CLS")))


def _rope_types() -> tuple[str, ...]:
    """Returns the types of rotary positions: the default, and the keys of transformers' ROPE_INIT_FUNCTIONS."""
    keys = _keys_in_transformers("modeling_rope_utils.py", "ROPE_INIT_FUNCTIONS")
    return ("default", *keys) if keys else ()


@lru_cache
def _keys_in_transformers(file_name: str, variable: str) -> tuple[str, ...]:
    """Returns the keys of a literal mapping in a file of transformers; none if it is not installed."""
    spec = importlib.util.find_spec("transformers")
    file = None if spec is None or spec.origin is None else Path(spec.origin).with_name(file_name)
    if file is None or not file.is_file():
        return ()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=keys))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=keys))
            ) if name == variable:
                return tuple(str(key.value) for key in keys if isinstance(key, ast.Constant))
            case _:
                pass
    return ()
