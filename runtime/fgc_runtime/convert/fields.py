"""Configuration fields from an architecture of transformers to a package and back."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.tables import Architecture, Part, matches

# what every configuration has, and what a conversion writes anew
_FRAMEWORK = frozenset(PreTrainedConfig().to_dict()) | {
    *("architectures", "auto_map", "dtype", "torch_dtype", "model_type", "transformers_version", "_name_or_path"),
    *("_attn_implementation", "loss_type", "output_attentions"),
}


@dataclass(frozen=True, slots=True)
class PackageFields:
    """Holds what a package's template says: fields, arguments of parts by block, and templates that replace blocks.

    `notes` are for the user.
    """

    fields: dict[str, Any]
    blocks: dict[str, dict[str, Any]] = field(default_factory=dict)
    includes: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def to_package(config: PreTrainedConfig, architecture: Architecture) -> PackageFields:
    """The fields of the package that computes the same. Raises ConvertError if the template cannot."""
    theirs = config.to_dict()
    if theirs.get("quantization_config"):
        raise ConvertError("the weights are quantized (`quantization_config`): convert the model they were made from")
    _require_fixed(theirs, architecture)
    notes = _unknown(theirs, type(config)().to_dict(), architecture)
    fields = {ours: _value(theirs, name, ours, architecture) for ours, name in architecture.fields.items()}
    fields = {name: value for name, value in fields.items() if value is not None or name not in architecture.computed}
    blocks: dict[str, dict[str, Any]] = {}
    chosen = {part.block: _template(theirs, part, architecture) for part in architecture.parts}
    for name, switch in architecture.switches.items():
        if theirs.get(name) and switch.argument is not None:
            blocks.setdefault(switch.block, {})[switch.argument] = True
        elif theirs.get(name):
            chosen[switch.block] = switch.template
    includes = {block: template for block, template in chosen.items() if template is not None}
    return PackageFields(fields, blocks, includes, notes)


def to_architecture(ours: Mapping[str, Any], tensors: Iterable[str], architecture: Architecture) -> PreTrainedConfig:
    """The configuration of the architecture. Raises ConvertError if the package lacks a field."""
    absent = [name for name in architecture.fields if name not in ours]
    if absent:
        raise ConvertError(f"the package's configuration lacks {', '.join(absent)}, which {architecture.name} has")
    # configurations change the mappings that they are given
    theirs = {name: deepcopy(ours[own]) for own, name in architecture.fields.items()}
    for own, rule in architecture.derived.items():
        name = architecture.fields[own]
        if theirs[name] == rule["factor"] * theirs[rule["of"]]:
            theirs[name] = None
    names = list(tensors)
    for name, switch in architecture.switches.items():
        theirs[name] = any(matches(switch.tensors, tensor) for tensor in names)
    config: PreTrainedConfig = AutoConfig.for_model(
        architecture.model_type, **architecture.fixed, **architecture.dropped, **theirs
    )
    return config


def value_at(values: Mapping[str, Any], path: str) -> Any:
    """The value that a path leads to, with points between the keys; None if there is none."""
    value: Any = values
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _template(theirs: Mapping[str, Any], part: Part, architecture: Architecture) -> str | None:
    """The template of the part that a value stands for; None for the usual part."""
    value = value_at(theirs, part.field)
    if value is None:
        return None
    if value not in part.templates:
        known = ", ".join(f"`{name}`" for name in part.templates)
        raise ConvertError(f"`{part.field}` is {value!r}; a package of `{architecture.template}` computes {known}")
    return part.templates[value]


def _value(theirs: Mapping[str, Any], name: str, ours: str, architecture: Architecture) -> Any:
    """A field's value; one that is null may follow from another, as GPT-2's inner size does."""
    value = theirs.get(name)
    rule = architecture.derived.get(ours)
    return rule["factor"] * theirs[rule["of"]] if value is None and rule is not None else value


def _require_fixed(theirs: Mapping[str, Any], architecture: Architecture) -> None:
    for name, value in architecture.fixed.items():
        found = theirs.get(name, value)
        if found != value and not (found is None and not value):
            raise ConvertError(
                f"`{name}` is {found!r}, but `{architecture.template}` computes what {value!r} means; "
                "a model with this setting cannot be converted yet"
            )


def _unknown(theirs: Mapping[str, Any], defaults: Mapping[str, Any], architecture: Architecture) -> list[str]:
    """Notes on fields that nobody reads. Raises ConvertError for one that the architecture reads."""
    left = {*architecture.ignored, *architecture.dropped}
    known = {*architecture.fields.values(), *architecture.fixed, *architecture.switches, *left}
    notes = []
    for name, value in theirs.items():
        if name in known or name in _FRAMEWORK or (name in defaults and value == defaults[name]):
            continue
        if name in defaults:
            raise ConvertError(
                f"`{name}` is {value!r} (usually {defaults[name]!r}), and the table of {architecture.name} does not "
                "say what that means in a package"
            )
        notes.append(f"config field `{name}` is read by nothing and is left out")
    return notes
