"""The inputs that a model's `forward` takes of a batch."""

import inspect

from torch import nn


def takes(model: nn.Module, name: str) -> bool:
    """Returns True if `forward` names a parameter."""
    return name in inspect.signature(model.forward).parameters


def without_cache(model: nn.Module) -> dict[str, bool]:
    """Returns the argument that keeps a model from filling a cache, if it has one.

    The cache would be thrown away, and hides from transformers' masks that documents are packed.
    """
    return {"use_cache": False} if takes(model, "use_cache") else {}


def unknown_inputs(model: nn.Module) -> frozenset[str]:
    """Returns what batches of packed documents hold and the model does not name: it goes by their positions."""
    return frozenset() if takes(model, "sequence_ids") else frozenset({"sequence_ids"})
