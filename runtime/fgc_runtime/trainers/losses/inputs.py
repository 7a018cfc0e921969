"""Selects the inputs of a batch that a model's `forward` takes."""

import inspect

from torch import nn


def takes(model: nn.Module, name: str) -> bool:
    """Returns True if `forward` has a parameter with the name."""
    return name in inspect.signature(model.forward).parameters


def without_cache(model: nn.Module) -> dict[str, bool]:
    """Returns the argument that disables a model's cache, if it has one.

    The cache would be unused, and with one, transformers' masks do not recognise packed documents.
    """
    return {"use_cache": False} if takes(model, "use_cache") else {}


def unknown_inputs(model: nn.Module) -> frozenset[str]:
    """Returns the inputs of packed batches that the model does not take, because positions are enough for it."""
    return frozenset() if takes(model, "sequence_ids") else frozenset({"sequence_ids"})
