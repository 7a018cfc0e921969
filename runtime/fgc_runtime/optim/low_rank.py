"""Adam in a subspace of each matrix's gradient: GaLore moves in it, Apollo only takes its scales from it.

A matrix is turned so that its longer side is the second; the first, of length m, is projected to `rank`. Other tensors,
and matrices with m <= rank, are moved by AdamW.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from fgc_runtime.optim.rounding import noise_generator
from fgc_runtime.optim.rule import SMALLEST_NORM, Group, State, UpdateRule, adam_updates, beside, norms, settled


class _LowRank(UpdateRule):
    """Projects, lets Adam work there, and leaves to subclasses what becomes of the result."""

    def __init__(
        self,
        params: Iterable[Any],
        *,
        betas: Sequence[float],
        eps: float,
        rank: int,
        update_interval: int,
        **options: Any,
    ) -> None:
        self._require_betas(betas)
        self._require("eps", eps, eps > 0, "must be above 0")
        self._require("rank", rank, rank >= 1, "must be at least 1")
        self._require("update_interval", update_interval, update_interval >= 1, "must be at least 1")
        own: dict[str, Any] = {"betas": betas, "eps": eps, "rank": rank, "update_interval": update_interval}
        super().__init__(params, **own, **options)

    def updates(
        self, parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: Sequence[State], group: Group
    ) -> list[Tensor]:
        """By the subclass for large matrices, by Adam for all others."""
        is_projected = [gradient.ndim == 2 and min(gradient.shape) > group["rank"] for gradient in gradients]
        seen = [
            self._projected(parameter, gradient, state, group) if projected else gradient
            for parameter, gradient, state, projected in zip(parameters, gradients, states, is_projected, strict=True)
        ]
        steps = adam_updates(seen, states, betas=group["betas"], eps=group["eps"])
        return [
            self._back(gradient, low, step, state, group) if projected else step
            for gradient, low, step, state, projected in zip(gradients, seen, steps, states, is_projected, strict=True)
        ]

    def _projected(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> Tensor:
        """The gradient in the subspace, rank x n or m x rank."""
        if (int(state["step"]) - 1) % group["update_interval"] == 0:
            state["projector"] = self._projector(parameter, gradient, state, group)
        projector = beside(state["projector"], gradient)
        return settled(projector @ gradient if _is_wide(gradient) else gradient @ projector.T)

    def _projector(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> Tensor:
        """rank x m."""
        raise NotImplementedError

    def _back(self, gradient: Tensor, low: Tensor, step: Tensor, state: State, group: Group) -> Tensor:
        """The update of the matrix from Adam's in the subspace."""
        raise NotImplementedError


class GaLore(_LowRank):
    """Adam in the span of the gradient's first singular vectors (Zhao et al. 2024, arXiv 2403.03507, algorithm 2).

    Every `update_interval` steps P is made anew from the gradient; the moments stay. The update is
    scale * P^T Adam(P G). The largest entry of a singular vector is positive here: its sign would otherwise be the
    library's whim, and old moments would meet new signs.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        rank: int = 128,
        scale: float = 0.25,
        update_interval: int = 200,
        stochastic_rounding: bool = False,
        seed: int = 0,
    ) -> None:
        common: dict[str, Any] = {
            "lr": lr,
            "weight_decay": weight_decay,
            "stochastic_rounding": stochastic_rounding,
            "seed": seed,
        }
        own: dict[str, Any] = {"rank": rank, "update_interval": update_interval, "scale": scale}
        super().__init__(params, betas=betas, eps=eps, **own, **common)

    def _projector(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> Tensor:
        whole = gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient
        left, _, right = torch.linalg.svd(whole, full_matrices=False)
        vectors = (left.T if _is_wide(gradient) else right)[: group["rank"]]
        largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
        signed: Tensor = vectors * largest.sign()
        return signed.contiguous()

    def _back(self, gradient: Tensor, low: Tensor, step: Tensor, state: State, group: Group) -> Tensor:
        projector = beside(state["projector"], gradient)
        update = projector.T @ step if _is_wide(gradient) else step @ projector
        return update.mul_(group["scale"])


class Apollo(_LowRank):
    """The gradient, each channel scaled as Adam scales it in a random subspace (Zhu et al. 2024, arXiv 2412.05270).

    R = P G with P ~ N(0, 1/rank), made anew every `update_interval` steps. The channels are the longer side; channel j
    is multiplied by |Adam(R)_j| / |R_j|, or, with `per_tensor` (APOLLO-Mini), all of them by |Adam(R)| / |R|; then all
    by `scale`. From step to step the update's norm grows at most by `growth_limit` (Fira; Chen et al. 2024,
    arXiv 2410.01623); None switches that off. APOLLO-Mini: rank 1, per_tensor, scale sqrt(128).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        *,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        rank: int = 128,
        scale: float = 1.0,
        per_tensor: bool = False,
        update_interval: int = 200,
        growth_limit: float | None = 1.01,
        stochastic_rounding: bool = False,
        seed: int = 0,
    ) -> None:
        self._require("growth_limit", growth_limit, growth_limit is None or growth_limit > 1, "must be None or above 1")
        common: dict[str, Any] = {
            "lr": lr,
            "weight_decay": weight_decay,
            "stochastic_rounding": stochastic_rounding,
            "seed": seed,
        }
        own: dict[str, Any] = {"scale": scale, "per_tensor": per_tensor, "growth_limit": growth_limit}
        own |= {"rank": rank, "update_interval": update_interval}
        super().__init__(params, betas=betas, eps=eps, **own, **common)

    def _projector(self, parameter: Tensor, gradient: Tensor, state: State, group: Group) -> Tensor:
        index = self.number_of(parameter)
        generator = noise_generator(parameter.device, seed=group["seed"], step=int(state["step"]), index=index)
        projector = torch.empty(group["rank"], min(gradient.shape), device=parameter.device)
        return projector.normal_(0.0, group["rank"] ** -0.5, generator=generator)

    def _back(self, gradient: Tensor, low: Tensor, step: Tensor, state: State, group: Group) -> Tensor:
        channel = (0 if _is_wide(gradient) else 1) if not group["per_tensor"] else None
        scales = norms(step, channel) / norms(low, channel).clamp(min=SMALLEST_NORM)
        update = gradient * (scales * group["scale"])
        return update if group["growth_limit"] is None else _limited(update, state, group["growth_limit"])


def _limited(update: Tensor, state: State, growth_limit: float) -> Tensor:
    """The update with at most `growth_limit` times the norm of the one before."""
    norm = norms(update, None)
    if "update_norm" in state:
        most = growth_limit * state["update_norm"]
        factor = torch.where((norm > most) & (most > 0), most / norm, torch.ones_like(norm))
        update, norm = update * factor, norm * factor
    state["update_norm"] = norm
    return update


def _is_wide(matrix: Tensor) -> bool:
    return matrix.shape[0] <= matrix.shape[1]
