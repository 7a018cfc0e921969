"""Several optimizers as one: matrices inside the network to one of them, everything else to another.

One list of parameter groups, one state dictionary: schedules and checkpoints see a single torch optimizer.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import torch
from torch.optim import AdamW, Optimizer

from fgc_runtime.optim.groups import Groups, ParameterGroup, divide
from fgc_runtime.optim.orthogonal import Muon
from fgc_runtime.patterns import compiled

Factory = Callable[[list[ParameterGroup]], Optimizer]

_NOT_HIDDEN = r"embed|lm_head|wte|wpe"  # the ends of a network: a row of these is a token's or a position's own


class Hybrid(Optimizer):
    """Optimizers that step together. Raises ValueError if there are none."""

    def __init__(self, optimizers: Sequence[Optimizer]) -> None:
        if not optimizers:
            raise ValueError("optimizers must not be empty")
        self.optimizers = list(optimizers)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        super().__init__(groups, {})
        self._hand_out()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step all of them; returns what `closure` returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Each part loads its own share, by its own rules for dtypes."""
        groups = iter(state_dict["param_groups"])
        for optimizer in self.optimizers:
            own = list(islice(groups, len(optimizer.param_groups)))
            numbers = {number for group in own for number in group["params"]}
            state = {number: value for number, value in state_dict["state"].items() if number in numbers}
            optimizer.load_state_dict({"state": state, "param_groups": own})
        if next(groups, None) is not None:
            raise ValueError("loaded state dict has a different number of parameter groups")
        self.param_groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        self.state.clear()
        for optimizer in self.optimizers:
            self.state.update(optimizer.state)
        self._hand_out()

    def _hand_out(self) -> None:
        """One state for all: what a part writes is in this optimizer's state dictionary."""
        for optimizer in self.optimizers:
            optimizer.state = self.state


def hybrid(params: Groups, *, matrices: Factory, others: Factory, not_hidden: str = _NOT_HIDDEN) -> Hybrid:
    """`matrices` for the two-dimensional weights whose name `not_hidden` does not match, `others` for the rest.

    Needs the named groups of `weight_decay_groups`, which a trainer passes.
    """
    pattern = compiled("not_hidden", not_hidden)
    inner, outer = divide(params, lambda name, parameter: parameter.ndim == 2 and not pattern.search(name))
    return Hybrid([factory(groups) for factory, groups in ((matrices, inner), (others, outer)) if groups])


def muon(
    params: Groups,
    lr: float = 3e-4,
    *,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    muon_lr: float | None = None,
    not_hidden: str = _NOT_HIDDEN,
) -> Hybrid:
    """Muon (Jordan et al. 2024) for matrices inside the network, AdamW for the rest.

    Muon's updates have the size of AdamW's (Liu et al. 2025, arXiv 2502.16982), so one `lr` serves both; with `muon_lr`
    it has a rate of its own.
    """

    def of_matrices(groups: list[ParameterGroup]) -> Optimizer:
        rate = lr if muon_lr is None else muon_lr
        options: dict[str, Any] = {"weight_decay": weight_decay, "momentum": momentum}
        return Muon(groups, lr=rate, **options)

    def of_the_rest(groups: list[ParameterGroup]) -> Optimizer:
        return AdamW(groups, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    return hybrid(params, matrices=of_matrices, others=of_the_rest, not_hidden=not_hidden)
