"""Normalisation of hidden states over their channels."""

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """y = x / sqrt(mean(x^2) + eps) * weight, over the last axis.

    Root mean square layer normalisation (Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4).
    """

    def __init__(self, hidden_size: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.eps = eps

    def forward(self, hidden_states: Tensor) -> Tensor:
        return nn.functional.rms_norm(hidden_states, self.weight.shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, eps={self.eps}"


class ZeroCentredRMSNorm(nn.Module):
    """y = x / sqrt(mean(x^2) + eps) * (1 + weight), over the last axis.

    The RMSNorm of Gemma (Gemma Team 2024, arXiv:2403.08295): weights begin at 0, so that weight
    decay draws the scale to 1. Computed in float32, returned in the dtype of `hidden_states`.
    """

    def __init__(self, hidden_size: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(hidden_size))
        self.eps = eps

    def forward(self, hidden_states: Tensor) -> Tensor:
        # the scale stands apart: vLLM takes a weight given to rms_norm for the module's own
        normed = nn.functional.rms_norm(hidden_states.float(), self.weight.shape, None, self.eps)
        return (normed * (1.0 + self.weight.float())).type_as(hidden_states)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, eps={self.eps}"
