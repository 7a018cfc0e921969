"""Warnings before a training that would run but probably not as intended. Each gives a number."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from fgc_runtime.checkpoint import kept_random_states
from fgc_runtime.data.windows import gives_more_rows, length_of

_HALF = (torch.bfloat16, torch.float16)


def cautions(optimizer: Optimizer, scheduler: LRScheduler, *, max_steps: int) -> Iterator[str]:
    """Yields a sentence for each setting that is likely to spoil the training."""
    yield from _of_rates(optimizer)
    yield from _of_warm_up(scheduler, max_steps)
    yield from _of_half_precision(optimizer)


def length_caution(name: str, dataset: object) -> str | None:
    """Returns a sentence about a data set with more rows than its length says, which are never read; else None."""
    with kept_random_states():  # a data set may draw random numbers
        if not gives_more_rows(dataset):
            return None
    length = length_of(dataset)
    return (
        f"{name} ({type(dataset).__name__}) says that it has {length} examples (__len__), and gives example {length}, "
        f"counted from 0, as well: only the first {length} are read"
    )


def _of_rates(optimizer: Optimizer) -> Iterator[str]:
    """Yields a caution if the rates of all groups are 0, apart from a warm-up; a single group may be meant."""
    if not any(group.get("initial_lr", group["lr"]) for group in optimizer.param_groups):
        yield "the learning rate is 0 (learning_rate): no step moves any weight"


def _of_warm_up(scheduler: LRScheduler, max_steps: int) -> Iterator[str]:
    """Yields a caution if the warm-up is longer than the run, which then never reaches its learning rate."""
    if not isinstance(scheduler, LambdaLR) or max_steps < 2:
        return
    rates = [scheduler.lr_lambdas[0](step) for step in (max_steps - 2, max_steps - 1)]
    if rates[1] > rates[0]:
        yield (
            f"the learning rate still rises at the last step ({max_steps}), where it is {rates[1]:.2g} times the "
            "configured one: the warm-up is longer than the run"
        )


def _of_half_precision(optimizer: Optimizer) -> Iterator[str]:
    """Yields a caution for bfloat16 weights, which lose updates below 1/512 of them without stochastic rounding."""
    weights = [(weight, group) for group in optimizer.param_groups for weight in group["params"]]
    total = sum(weight.numel() for weight, _ in weights)
    stuck = sum(weight.numel() for weight, group in weights if _drops_small_steps(weight, group))
    if stuck:
        yield (
            f"{stuck:,} of {total:,} weights are kept in half precision, where {type(optimizer).__name__} loses steps "
            "below 1/512 of a weight: most weights may never move. Keep weights in float32 and set bf16: true, or use "
            "an optimizer with stochastic_rounding"
        )


def _drops_small_steps(weight: nn.Parameter, group: dict[str, Any]) -> bool:
    is_rounded_by_chance = weight.dtype == torch.bfloat16 and bool(group.get("stochastic_rounding"))
    return weight.dtype in _HALF and not is_rounded_by_chance
