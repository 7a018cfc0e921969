"""Positions whose scaling depends on the longest sequence of a call (dynamic NTK, LongRoPE): found, and made to forget.

Such a model reads a sequence otherwise beside a longer one. transformers' dynamic NTK also remembers the longest
sequence that it has read, and reads a later one by it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

_KINDS = {"dynamic": "dynamic", "dynamic_ntk": "dynamic", "longrope": "longrope", "su": "longrope"}


@dataclass(frozen=True, slots=True)
class Scaling:
    """How positions depend on length. `rereads_at`: a text that grows longer than this is read anew (LongRoPE)."""

    rereads_at: int | None


def scaling_of(model: PreTrainedModel) -> Scaling | None:
    """Returns how a model's positions depend on a sequence's length; None if they do not."""
    fields: Mapping[str, object] = model.config.to_dict()
    found = list(_kinds(fields, _usual_length(fields)))
    for module in model.modules():
        for kind in _rope_kinds(module):
            found.append((kind, _length(getattr(module, "rope_parameters", None), _usual_length(fields))))
    lengths = [length for kind, length in found if kind == "longrope" and length is not None]
    return Scaling(min(lengths, default=None)) if found else None


def remembering_modules(model: PreTrainedModel) -> list[nn.Module]:
    """Returns the modules of transformers that remember the longest sequence they have seen."""
    return [m for m in model.modules() if hasattr(m, "max_seq_len_cached") and "dynamic" in _rope_kinds(m)]


def forget(module: nn.Module) -> None:
    """Gives a module back the frequencies of short sequences."""
    usual = module.original_max_seq_len
    for name in [name for name in vars(module) if name.endswith("max_seq_len_cached")]:
        setattr(module, name, usual)
    for name, buffer in list(module.named_buffers(recurse=False)):
        original = getattr(module, f"{name.removesuffix('inv_freq')}original_inv_freq", None)
        if name.endswith("inv_freq") and "original" not in name and original is not None:
            module.register_buffer(name, original.to(buffer.device), persistent=False)


def _kinds(value: object, usual: int | None) -> Iterator[tuple[str, int | None]]:
    """Kinds of scaling in a configuration, at any depth, with the length that they begin at."""
    if not isinstance(value, Mapping):
        return
    kind = _KINDS.get(str(value.get("rope_type", value.get("type"))))
    if kind is not None:
        yield kind, _length(value, usual)
    for inner in value.values():
        yield from _kinds(inner, usual)


def _rope_kinds(module: nn.Module) -> list[str]:
    named = getattr(module, "rope_type", None)
    names = named.values() if isinstance(named, Mapping) else [named]
    return [kind for name in names if (kind := _KINDS.get(str(name))) is not None]


def _usual_length(fields: Mapping[str, object]) -> int | None:
    return _length(fields, None)


def _length(fields: object, usual: int | None) -> int | None:
    found = fields.get("original_max_position_embeddings") if isinstance(fields, Mapping) else None
    return found if isinstance(found, int) else usual
