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
    """Says how positions depend on length.

    Texts of up to `usual_length` tokens are read alike; None is unknown. With `rereads` (LongRoPE) a text that grows
    longer must be read anew, and all longer ones are read alike too.
    """

    usual_length: int | None
    rereads: bool


def scaling_of(model: PreTrainedModel) -> Scaling | None:
    """Returns how a model's positions depend on a sequence's length; None if they do not."""
    fields: Mapping[str, object] = model.config.to_dict()
    found = [*_kinds(fields, _length(fields, None))]
    found += [(kind, None) for module in model.modules() for kind in _rope_kinds(module)]
    if not found:
        return None
    if {kind for kind, _ in found} == {"longrope"}:
        return Scaling(min((length for _, length in found if length is not None), default=None), rereads=True)
    usual = [_scales_from(module) for module in _scaled_modules(model)]
    known = [length for length in usual if length is not None]
    return Scaling(min(known) if known and len(known) == len(usual) else None, rereads=False)


def _scaled_modules(model: PreTrainedModel) -> list[nn.Module]:
    return [module for module in model.modules() if _rope_kinds(module)]


def _scales_from(module: nn.Module) -> int | None:
    """Returns the length beyond which dynamic NTK scales, as transformers' modules and those of packages call it."""
    found = getattr(module, "original_max_seq_len", getattr(module, "max_positions", None))
    return found if isinstance(found, int) else None


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


def _length(fields: object, usual: int | None) -> int | None:
    found = fields.get("original_max_position_embeddings") if isinstance(fields, Mapping) else None
    return found if isinstance(found, int) else usual
