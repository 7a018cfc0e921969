"""Writes the configuration file of a model package from its fields."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from fgc.emit.model.names import ModelNames
from fgc.emit.model.values import Constant, ConstantTable, Items, Operation, Value, fields_of, static_text

# fields that transformers may set to None or to a list, whatever the template says
_KNOWN_TYPES = {
    "pad_token_id": "int | None",
    "bos_token_id": "int | None",
    "eos_token_id": "int | list[int] | None",
}
# other names under which libraries read fields
_OTHER_NAMES = {"num_experts": "num_local_experts"}
ROPE_PARAMETERS = "rope_parameters"
_OLDER_ROPE_FIELDS = ("rope_theta", "rope_scaling")  # PreTrainedConfig turns them into rope_parameters
_USUAL_THETA = 10000.0  # PreTrainedConfig's
_PLAN_TYPES = {  # as in PreTrainedConfig: type checkers want the same types
    "tp_plan": "dict[str, Any] | None",
    "pp_plan": "dict[str, Sequence[list[str]]] | None",
}

# PEFT looks up `model_type` in its own tables, right after it has read the configuration's fields
_ADAPTER_DEFAULTS = """
    def to_dict(self) -> dict[str, Any]:
        # PEFT reads the fields, then looks up where adapters go: here they go where they go in a Llama
        if (peft_tables := sys.modules.get("peft.utils.constants")) is not None:
            for table in vars(peft_tables).values():
                if isinstance(table, dict) and "llama" in table:
                    table.setdefault(self.model_type, table["llama"])
        return super().to_dict()
"""


class FieldPlan(Struct, frozen=True):
    """A field with its class default, or `derived` from other fields if it is not given.

    `annotation` is the type of the component parameter that reads it, if one does.
    """

    name: str
    default: Value
    derived: Value | None
    annotation: str | None


def configuration_text(
    fields: Sequence[FieldPlan],
    names: ModelNames,
    plans: Mapping[str, str],
    header: str,
    *,
    has_projections: bool,
) -> str:
    """Returns the file's text, before formatting.

    `has_projections`: attention has the matrices `q_proj` and `v_proj`, which PEFT adapts in a Llama.
    """
    lines = [f"class {names.config_class}(PreTrainedConfig):"]
    lines += [f'    """The shape of a {names.title}; the defaults are those of the template."""', ""]
    lines += [f'    model_type = "{names.package}"']
    lines += ['    keys_to_ignore_at_inference: ClassVar[list[str]] = ["past_key_values"]']
    lines += [f"    base_model_{name}: ClassVar[{_PLAN_TYPES[name]}] = {text}" for name, text in plans.items() if text]
    lines += _attribute_map(fields)
    lines += [f"    default_theta = {theta}" for theta in _unusual_thetas(fields)]
    lines += ["", *(_field_line(item) for item in fields), *_auto_map(names), *_post_init(fields)]
    lines += _ADAPTER_DEFAULTS.splitlines() if has_projections else []
    body = "\n".join(lines)
    header += f'"""The configuration of {names.title}."""'
    return "\n\n\n".join([header, _imports(body), "@strict\n" + body, f'__all__ = ["{names.config_class}"]\n'])


def in_order(fields: Sequence[FieldPlan]) -> list[FieldPlan] | str:
    """Returns the fields, derived ones after those they are derived from; or the name of one that needs itself."""
    waiting = {item.name: item for item in fields if item.derived is not None}
    ordered: list[FieldPlan] = []
    while waiting:
        ready = [i for i in waiting.values() if i.derived is not None and not set(fields_of(i.derived)) & set(waiting)]
        if not ready:
            return next(iter(waiting))
        ordered += ready
        waiting = {name: item for name, item in waiting.items() if item not in ready}
    return [*(item for item in fields if item.derived is None), *ordered]


def annotation_of(item: FieldPlan) -> str:
    """Returns the type of a field, from the parameter that reads it and from its default."""
    default = item.default
    if item.name in _KNOWN_TYPES:
        return _KNOWN_TYPES[item.name]
    if isinstance(default, Items):
        return "list[Any]"
    if isinstance(default, ConstantTable):
        return "dict[str, Any]"
    if isinstance(item.derived, ConstantTable):
        return "dict[str, Any] | None"
    if isinstance(item.derived, Items) or (
        isinstance(item.derived, Operation) and isinstance(item.derived.left, Items)
    ):
        return "list[Any] | None"
    if isinstance(default, Constant) and default.value is not None:
        return item.annotation or type(default.value).__name__
    known = item.annotation or ("int" if item.name.endswith("_size") else "Any")
    return known if known == "Any" or known.endswith("None") else f"{known} | None"


def is_set(item: FieldPlan) -> bool:
    """Returns True if the field is never None: its type excludes it, or `__post_init__` fills it in."""
    if item.derived is not None:
        return True
    return item.default != Constant.of(None) and not annotation_of(item).endswith("None")


def _field_line(item: FieldPlan) -> str:
    text = static_text(item.default, "self")
    if isinstance(item.default, Items | ConstantTable):
        text = f"field(default_factory=lambda: {text})"
    elif annotation_of(item).startswith("float") and isinstance(item.default, Constant):
        value = item.default.value
        text = text if isinstance(value, bool) or not isinstance(value, int) else f"{value}.0"
    return f"    {item.name}: {annotation_of(item)} = {text}"


def _attribute_map(fields: Sequence[FieldPlan]) -> list[str]:
    names = {item.name for item in fields}
    found = {other: name for other, name in _OTHER_NAMES.items() if name in names and other not in names}
    return [f"    attribute_map: ClassVar[dict[str, str]] = {found}"] if found else []


def _unusual_thetas(fields: Sequence[FieldPlan]) -> list[float]:
    """Returns the template's theta if it is not transformers' default, for an older config.json without one."""
    tables = [
        item.derived for item in fields if item.name == ROPE_PARAMETERS and isinstance(item.derived, ConstantTable)
    ]
    entries = [(key.value, value) for table in tables for key, value in table.entries]
    thetas = [value.value for key, value in entries if key == "rope_theta" and isinstance(value, Constant)]
    return [float(theta) for theta in thetas if isinstance(theta, int | float) and theta != _USUAL_THETA]


def _post_init(fields: Sequence[FieldPlan]) -> list[str]:
    """Returns the method that fills in derived fields."""
    names = {item.name for item in fields}
    lines = []
    for item in fields:
        if item.derived is None:
            continue
        older = [name for name in _OLDER_ROPE_FIELDS if name not in names] if item.name == ROPE_PARAMETERS else []
        unless = f" and kwargs.keys().isdisjoint({older})" if older else ""
        lines += ["        # transformers makes it of these fields of an older config.json"] if older else []
        lines += [f"        if self.{item.name} is None{unless}:"]
        lines += [f"            self.{item.name} = {static_text(item.derived, 'self')}"]
    if not lines:
        return []
    head = ["", "    def __post_init__(self, **kwargs: Any) -> None:"]
    return [*head, *lines, "        super().__post_init__(**kwargs)"]


def _auto_map(names: ModelNames) -> list[str]:
    """Returns the `auto_map`, which names AutoModel because save_pretrained writes only the class that it saves."""
    return [
        "    auto_map: dict[str, str] = field(",
        "        default_factory=lambda: {",
        f'            "AutoConfig": "{names.config_module}.{names.config_class}",',
        f'            "AutoModel": "{names.modeling_module}.{names.base_class}",',
        f'            "AutoModelForCausalLM": "{names.modeling_module}.{names.causal_lm_class}",',
        "        }",
        "    )",
    ]


def _imports(body: str) -> str:
    lines = ["import sys"] if "sys." in body else []
    lines += ["from collections.abc import Sequence"] if "Sequence[" in body else []
    typing = [name for name in ("Any", "ClassVar") if name in body]
    lines += ["from dataclasses import field", f"from typing import {', '.join(typing)}", ""]
    lines += ["from huggingface_hub.dataclasses import strict", "from transformers import PreTrainedConfig"]
    return "\n".join(lines)
