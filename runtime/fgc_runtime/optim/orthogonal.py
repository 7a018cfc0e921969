"""Muon: momentum of a matrix, made orthogonal, so that all directions of the update are equally long."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from fgc_runtime.optim.rule import Group, State, UpdateRule, beside

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic; chosen by Jordan et al. for the steepest rise at zero
_SMALLEST_NORM = 1e-7


class Muon(UpdateRule):
    """Update: 0.2 sqrt(max(m, n)) times the orthogonalised Nesterov momentum of an m x n matrix.

    Jordan et al. 2024 (kellerjordan.github.io/posts/muon), with the size of AdamW's updates (Liu et al. 2025, arXiv
    2502.16982); `num_iterations` are those of Newton and Schulz that make it orthogonal. Sharded momentum is gathered
    whole for them: the update is the one of a single process.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        num_iterations: int = 5,
        stochastic_rounding: bool = False,
        seed: int = 0,
    ) -> None:
        self._require("momentum", momentum, 0 <= momentum < 1, "must be at least 0 and below 1")
        self._require("num_iterations", num_iterations, num_iterations >= 1, "must be at least 1")
        super().__init__(
            params,
            lr=lr,
            weight_decay=weight_decay,
            stochastic_rounding=stochastic_rounding,
            seed=seed,
            momentum=momentum,
            num_iterations=num_iterations,
        )

    def updates(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: Sequence[State], group: Group
    ) -> list[Tensor]:
        """Of matrices alone. Raises ValueError for any other tensor."""
        updates = []
        for gradient, state in zip(gradients, states, strict=True):
            if gradient.ndim != 2:
                raise ValueError(f"Muon moves matrices, and a parameter has the shape {tuple(gradient.shape)}")
            average = state.setdefault("momentum_buffer", torch.zeros_like(gradient))
            average.lerp_(gradient, 1 - group["momentum"])
            ahead = gradient.lerp(average, group["momentum"])
            size: float = 0.2 * max(gradient.shape) ** 0.5
            updates.append(_shared_out(orthogonal(_whole(ahead), group["num_iterations"]) * size, ahead))
        return updates


def orthogonal(matrix: Tensor, num_iterations: int) -> Tensor:
    """U V^T of a matrix U S V^T, roughly: singular values come to lie between 0.7 and 1.2 (Newton-Schulz, quintic).

    In bfloat16 on GPUs, which bears it and is fast there; in float32 elsewhere.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if is_tall else matrix).to(torch.bfloat16 if matrix.is_cuda else torch.float32)
    x = x / x.norm().clamp(min=_SMALLEST_NORM)
    a, b, c = _COEFFICIENTS
    for _ in range(num_iterations):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if is_tall else x).float()


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def _shared_out(whole: Tensor, like: Tensor) -> Tensor:
    """This process's part, where `like` is sharded."""
    if not hasattr(like, "device_mesh"):
        return whole
    part: Tensor = beside(whole, like).redistribute(placements=like.placements)  # type: ignore[attr-defined]  # DTensors
    return part
