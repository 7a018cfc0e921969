"""A model to the parameter groups that every torch optimizer accepts in place of parameters."""

from typing import Any

from torch import nn

ParameterGroup = dict[str, Any]  # as torch types it: `params`, and options of the optimizer


def weight_decay_groups(model: nn.Module) -> list[ParameterGroup]:
    """Split trainable parameters in two: matrices, then those that must not be pulled towards zero.

    Norms, biases and embeddings get `weight_decay` 0, matrices what the optimizer was given. A matrix tied to an
    embedding counts as an embedding. Empty groups are left out.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in trainable if parameter.ndim >= 2 and id(parameter) not in embeddings]
    undecayed = [parameter for parameter in trainable if parameter.ndim < 2 or id(parameter) in embeddings]
    groups: list[ParameterGroup] = [{"params": decayed}, {"params": undecayed, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
