"""Finds the parts of a causal language model: its layers, and the modules before and after them.

Parallel strategies need the names that transformers' own plans use: a base model with `embed_tokens`, `layers` and
perhaps a `norm`, and a head.
"""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from transformers import PreTrainedModel

_PARTS = ("embed_tokens", "layers")  # most also have a `norm`, except models whose layers end with one


class DecoderParts(NamedTuple):
    """The modules of a decoder, by their role."""

    base: PreTrainedModel
    embed_tokens: nn.Module
    layers: nn.ModuleList
    norm: nn.Module | None
    head: nn.Module

    @property
    def is_tied(self) -> bool:
        """Returns True if head and embedding are one weight."""
        return self.head.weight is self.embed_tokens.weight


def decoder_parts(model: PreTrainedModel, reason: str) -> DecoderParts:
    """Returns the parts of a model. Raises ValueError, naming the missing part, for other architectures."""
    base: Any = model.base_model
    missing = [name for name in _PARTS if not hasattr(base, name)]
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is None or base is model:
        missing.append("lm_head")
    if missing:
        raise ValueError(f"{reason}: {type(model).__name__} has no {', '.join(missing)}, which divide it into parts")
    return DecoderParts(base, base.embed_tokens, base.layers, getattr(base, "norm", None), head)


def skeleton(model: PreTrainedModel) -> PreTrainedModel:
    """Returns a model of the same class, configuration and dtype without weights, for example for export.

    Works in a rehearsal too, whose tensors cannot change their dtype in place.
    """
    with unset_fake_temporarily(), torch.device("meta"):
        empty = type(model)(model.config)
        nn.Module.to(empty, model.dtype)
    if model.generation_config is not None:
        empty.generation_config = model.generation_config
    return empty


def make_mesh(device_type: str, shape: tuple[int, ...], names: tuple[str, ...]) -> DeviceMesh:
    """Calls `init_device_mesh` so that it works in a rehearsal too, where all other tensors have no contents."""
    with unset_fake_temporarily():
        return init_device_mesh(device_type, shape, mesh_dim_names=names)
