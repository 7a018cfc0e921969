"""Schedules against formulas; which parameters decay."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from fgc_runtime.optim import (
    constant_with_warmup,
    cosine_multiplier,
    cosine_with_warmup,
    infinite,
    infinite_multiplier,
    inverse_sqrt_multiplier,
    inverse_sqrt_with_warmup,
    linear_multiplier,
    linear_with_warmup,
    warmup_stable_decay,
    weight_decay_groups,
    wsd_multiplier,
)
from torch import nn
from torch.optim import SGD


def rates(factory: Callable[..., Any], steps: int) -> list[float]:
    """Returns what a scheduler makes of the rate 2.0 in each step."""
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = factory(optimizer)
    used = []
    for _ in range(steps):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return used


def test_cosine_is_half_a_wave_of_the_part_after_warm_up() -> None:
    for step in range(10, 110):
        phase = (step - 10) / 100 * math.pi
        expected = 0.1 + 0.9 * math.cos(phase / 2) ** 2  # the half-angle form of the same wave
        assert cosine_multiplier(step, num_training_steps=110, warmup_steps=10, min_lr_ratio=0.1) == pytest.approx(
            expected
        )


def test_warm_up_rises_evenly_and_its_first_step_learns() -> None:
    schedule = partial(cosine_multiplier, num_training_steps=100, warmup_steps=4)
    assert [schedule(step) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_linear_falls_evenly() -> None:
    multipliers = [linear_multiplier(step, num_training_steps=4, min_lr_ratio=0.2) for step in range(5)]
    assert multipliers == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_wsd_stays_and_then_falls() -> None:
    schedule = partial(wsd_multiplier, num_training_steps=10, warmup_steps=2, decay_steps=4)
    assert [schedule(step) for step in range(11)] == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])


@pytest.mark.parametrize(
    ("factory", "multiplier"),
    [
        (partial(cosine_with_warmup, warmup_steps=3), partial(cosine_multiplier, warmup_steps=3)),
        (partial(linear_with_warmup, min_lr_ratio=0.5), partial(linear_multiplier, min_lr_ratio=0.5)),
        (partial(warmup_stable_decay, decay_steps=5), partial(wsd_multiplier, decay_steps=5)),
    ],
)
def test_schedulers_use_their_function_of_the_step(factory: Any, multiplier: Any) -> None:
    used = rates(partial(factory, num_training_steps=12), 12)
    assert used == pytest.approx([2.0 * multiplier(step, num_training_steps=12) for step in range(12)])
    assert min(used) > 0


def test_constant_with_warmup() -> None:
    assert rates(partial(constant_with_warmup, warmup_steps=2), 4) == [1.0, 2.0, 2.0, 2.0]


def test_inverse_sqrt_is_that_of_the_transformer() -> None:
    """Vaswani et al. 2017, equation 3, counts steps from 1: min(t^-0.5, t W^-1.5), here over its peak W^-0.5."""
    for step in range(200):
        t = step + 1
        formula = min(t**-0.5, t * 16**-1.5) / 16**-0.5
        assert inverse_sqrt_multiplier(step, warmup_steps=16) == pytest.approx(formula)
    assert inverse_sqrt_multiplier(0) == 1
    assert inverse_sqrt_multiplier(99) == pytest.approx(0.1)
    assert inverse_sqrt_multiplier(29 + 90, warmup_steps=30, timescale=30) == pytest.approx(0.5)
    assert rates(partial(inverse_sqrt_with_warmup, warmup_steps=2), 8)[7] == pytest.approx(1.0)


PHASES = {"warmup_steps": 10, "cooldown_steps": 20, "constant_lr_ratio": 0.4, "annealing_start": 50}
PHASES |= {"annealing_steps": 15, "min_lr_ratio": 0.01}


def test_infinite_has_four_parts() -> None:
    schedule = partial(infinite_multiplier, **PHASES)  # type: ignore[arg-type]
    for step in range(10):
        assert schedule(step) == pytest.approx((step + 1) / 10)
    for step in range(10, 30):
        assert schedule(step) == pytest.approx(0.4 + (1 - 0.4) / 2 * (1 + math.cos(math.pi * (step - 10) / 20)))
    assert [schedule(step) for step in range(30, 51)] == pytest.approx([0.4] * 21)
    for step in range(50, 66):
        assert schedule(step) == pytest.approx(math.exp(math.log(0.4) + (step - 50) / 15 * math.log(0.01 / 0.4)))
    assert schedule(10_000) == pytest.approx(0.01)
    assert infinite_multiplier(10**9, **{**PHASES, "annealing_start": None}) == pytest.approx(0.4)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schedule", "boundaries"),
    [
        (partial(infinite_multiplier, **{name: n * 1000 for name, n in PHASES.items() if "ratio" not in name},
                 constant_lr_ratio=0.4, min_lr_ratio=0.01), [10_000, 30_000, 50_000, 65_000]),
        (partial(infinite_multiplier, warmup_steps=5000, annealing_start=5000, annealing_steps=9000, min_lr_ratio=0.1),
         [5000, 14_000]),
        (partial(wsd_multiplier, num_training_steps=30_000, warmup_steps=9000, decay_steps=9000), [9000, 21_000]),
        (partial(cosine_multiplier, num_training_steps=30_000, warmup_steps=9000, min_lr_ratio=0.1), [9000, 30_000]),
        (partial(linear_multiplier, num_training_steps=30_000, warmup_steps=9000, min_lr_ratio=0.1), [9000, 30_000]),
        (partial(inverse_sqrt_multiplier, warmup_steps=9000), [9000]),
    ],
)  # fmt: skip
def test_no_schedule_jumps_where_its_parts_meet(schedule: Any, boundaries: list[int]) -> None:
    """Parts of thousands of steps move by less than 1/2000 a step; a jump would be a hundred times that."""
    for boundary in boundaries:
        for step in range(boundary - 2, boundary + 2):
            assert abs(schedule(step + 1) - schedule(step)) < 5e-4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"constant_lr_ratio": 0.5},
            r"constant_lr_ratio \(0\.5\) must be 1 where cooldown_steps is 0: the",
        ),
        ({"annealing_start": 3, "warmup_steps": 4}, r"annealing_start \(3\) must not come before step 4"),
        ({"annealing_start": 3}, r"annealing_steps \(0\) must be at least 1"),
        ({"annealing_start": 3, "annealing_steps": 2}, r"min_lr_ratio \(0\.0\) must be above 0 and at most"),
        ({"constant_lr_ratio": 0.0}, r"constant_lr_ratio \(0\.0\) must be above 0 and at most 1"),
    ],
)
def test_an_infinite_schedule_that_would_jump_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        infinite(SGD([nn.Parameter(torch.zeros(1))], lr=1.0), **parameters)


def test_an_infinite_scheduler_uses_its_function_of_the_step() -> None:
    used = rates(partial(infinite, **PHASES), 70)
    assert used == pytest.approx([2 * infinite_multiplier(step, **PHASES) for step in range(70)])  # type: ignore[arg-type]


def test_a_resumed_scheduler_goes_on() -> None:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    first = cosine_with_warmup(optimizer, num_training_steps=10)
    for _ in range(4):
        optimizer.step()
        first.step()
    again = cosine_with_warmup(SGD([nn.Parameter(torch.zeros(1))], lr=1.0), num_training_steps=10)
    again.load_state_dict(first.state_dict())
    assert again.get_last_lr() == first.get_last_lr() == [cosine_multiplier(4, num_training_steps=10)]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_training_steps": 0}, r"num_training_steps \(0\) must be at least 1"),
        ({"num_training_steps": 5, "warmup_steps": -1}, r"warmup_steps \(-1\) must not be negative"),
        ({"num_training_steps": 5, "min_lr_ratio": 2}, r"min_lr_ratio \(2\) must lie between 0 and 1"),
    ],
)
def test_schedules_name_parameter_value_and_rule(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cosine_with_warmup(SGD([nn.Parameter(torch.zeros(1))], lr=1.0), **parameters)


def test_matrices_decay_and_norms_biases_embeddings_do_not() -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(4, 3), "linear": nn.Linear(3, 4), "norm": nn.LayerNorm(4)})
    model["frozen"] = nn.Linear(2, 2).requires_grad_(False)
    decayed, undecayed = weight_decay_groups(model)
    assert [parameter.shape for parameter in decayed["params"]] == [(4, 3)]
    assert decayed["params"][0] is model["linear"].weight
    assert len(undecayed["params"]) == 4
    assert undecayed["weight_decay"] == 0
