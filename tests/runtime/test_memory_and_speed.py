"""Switches that save memory or time: training stays the same, or says why it cannot be."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
import torch
from fgc_runtime.optim import Apollo, Lion, muon
from fgc_runtime.trainers import Trainer
from fgc_runtime.trainers.loop.stepper import InBackward, LossScale
from torch import nn
from torch.optim import SGD, AdamW

MakeTrainer = Callable[..., Trainer]
_ROUNDING = 64 * torch.finfo(torch.float32).eps  # sums in another order, over three steps; a wrong mask is 1e-2 off


def trained(make_trainer: MakeTrainer, **given: Any) -> tuple[list[float], Any]:
    trainer = make_trainer(max_grad_norm=None, **given)
    trainer.train()
    return trainer.callbacks[0].losses, trainer


@pytest.mark.parametrize(
    "switch",
    [
        {"gradient_checkpointing": True},
        {"activation_offloading": True},
        {"sdpa_backend": "math"},
        {"sdpa_backend": ["math", "efficient"]},
        {"torch_compile": True, "torch_compile_backend": "eager"},
        {"float32_matmul_precision": "highest"},
        {"detect_anomaly": True},
    ],
    ids=lambda switch: "-".join(switch),
)
def test_the_losses_do_not_change(make_trainer: MakeTrainer, switch: dict[str, Any]) -> None:
    plain, _ = trained(make_trainer, max_steps=3)
    switched, _ = trained(make_trainer, max_steps=3, **switch)
    assert switched == pytest.approx(plain, rel=_ROUNDING)


def test_activations_are_moved_to_host_memory(make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    from fgc_runtime.trainers.losses import objective

    entered = []

    class Watched(objective.save_on_cpu):
        def __enter__(self) -> None:
            entered.append(torch.is_grad_enabled())
            super().__enter__()

    monkeypatch.setattr(objective, "save_on_cpu", Watched)
    trained(make_trainer, max_steps=2, activation_offloading=True)
    assert entered == [True, True]


@pytest.mark.parametrize(
    "optimizer",
    [
        partial(AdamW, lr=1e-2, weight_decay=0.1),
        partial(SGD, lr=0.3, momentum=0.9),
        partial(Apollo, lr=1e-2, rank=2, update_interval=2),  # each matrix has a random projection of its own
        partial(muon, lr=1e-2),
    ],
    ids=lambda optimizer: optimizer.func.__name__,
)
def test_an_optimizer_in_backward_trains_like_one_after_it(make_trainer: MakeTrainer, optimizer: Any) -> None:
    plain, reference = trained(make_trainer, optimizer_factory=optimizer)
    inside, trainer = trained(make_trainer, optimizer_factory=optimizer, optimizer_in_backward=True)
    assert inside == pytest.approx(plain, rel=_ROUNDING)
    for ours, theirs in zip(trainer.model.parameters(), reference.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_an_optimizer_in_backward_rounds_each_weight_by_a_chance_of_its_own() -> None:
    """Equal weights with equal gradients: rounded with the same numbers they would stay equal."""

    def rounded(is_inside: bool) -> list[torch.Tensor]:
        weights = [nn.Parameter(torch.ones(64, dtype=torch.bfloat16)) for _ in range(2)]
        optimizer = Lion(weights, lr=1e-3, stochastic_rounding=True)
        with InBackward(optimizer) if is_inside else nullcontext():
            (weights[0].sum() + weights[1].sum()).backward()
        if not is_inside:
            optimizer.step()
        return [weight.detach() for weight in weights]

    inside, outside = rounded(True), rounded(False)
    assert not torch.equal(inside[0], inside[1])
    assert torch.equal(inside[0], outside[0]) and torch.equal(inside[1], outside[1])


def test_an_optimizer_in_backward_drops_each_gradient_before_the_next(
    make_trainer: MakeTrainer, tiny_model: Callable[..., Any]
) -> None:
    model, alive = tiny_model(), []

    class Counting(SGD):
        def step(self, closure: Any = None) -> None:
            alive.append(sum(parameter.grad is not None for parameter in model.parameters()))
            assert [len(group["params"]) for group in self.param_groups] == [1], "one parameter per step, not all"
            super().step(closure)

    trained(make_trainer, model=model, optimizer_factory=partial(Counting, lr=0.1), optimizer_in_backward=True)
    assert set(alive) == {1}
    assert len(alive) == 6 * len(list(model.parameters()))


@pytest.mark.parametrize(
    "other",
    [{"max_grad_norm": 1.0}, {"gradient_accumulation_steps": 2, "max_grad_norm": None}],
    ids=["clipping", "accumulation"],
)
def test_an_optimizer_in_backward_is_refused_with(make_trainer: MakeTrainer, other: dict[str, Any]) -> None:
    name = next(iter(other))
    with pytest.raises(ValueError, match=rf"{name} \(.*cannot be together with optimizer_in_backward"):
        make_trainer(optimizer_in_backward=True, **other)


def test_bf16_and_fp16_train_close_to_float32(make_trainer: MakeTrainer) -> None:
    plain, _ = trained(make_trainer, max_steps=3)
    for switch in ("bf16", "fp16"):
        losses, _ = trained(make_trainer, max_steps=3, **{switch: True})
        assert losses != plain
        assert losses == pytest.approx(plain, rel=2e-2)


def test_clipping_sees_unscaled_gradients_in_fp16(make_trainer: MakeTrainer) -> None:
    norms = []
    for switch in ({}, {"fp16": True}):
        trainer = make_trainer(max_steps=2, optimizer_factory=partial(SGD, lr=0.1), **switch)
        trainer.train()
        norms.append([record["grad_norm"] for record in trainer.callbacks[0].logs if "grad_norm" in record])
    assert norms[1] == pytest.approx(norms[0], rel=2e-2)


def test_an_overflow_leaves_the_weights_and_halves_the_scale(make_trainer: MakeTrainer) -> None:
    seen = []

    class Overflow(SGD):
        def step(self, closure: Any = None) -> None:
            seen.append("step")
            super().step(closure)

    trainer = make_trainer(max_steps=3, fp16=True, optimizer_factory=partial(Overflow, lr=0.1))
    backward, calls = trainer.strategy.backward, []

    def overflowing(window: Any, divisor: float) -> Any:
        loss = backward(window, divisor)
        calls.append(divisor)
        if len(calls) == 2:
            next(iter(trainer.model.parameters())).grad.fill_(float("inf"))
        return loss

    trainer.strategy.backward = overflowing  # type: ignore[method-assign]
    trainer.train()
    assert seen == ["step", "step"]
    assert calls[2] > calls[1] * 1.5  # the divisor holds the scale: half of it is twice the divisor, per token
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())


def test_the_loss_scale_grows_and_gives_up() -> None:
    scale = LossScale(value=8.0, growth_interval=2)
    for is_finite, expected in [(True, 8.0), (True, 16.0), (False, 8.0), (True, 8.0), (True, 16.0)]:
        scale.update(is_finite=is_finite)
        assert scale.value == expected
    with pytest.raises(FloatingPointError, match="at every loss scale"):
        for _ in range(40):
            scale.update(is_finite=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fused_loss": "fast"}, r"fused_loss \('fast'\) must be one of no, auto, chunked, liger, cut_cross_entropy"),
        ({"fused_loss_chunk_size": 0}, r"fused_loss_chunk_size \(0\) must be at least 1"),
        ({"sdpa_backend": "cuda"}, r"sdpa_backend \('cuda'\) must be of math, flash, efficient, cudnn"),
        ({"float32_matmul_precision": "low"}, r"float32_matmul_precision \('low'\) must be one of highest, high"),
        ({"bf16": True, "fp16": True}, r"fp16 \(True\) cannot be together with bf16"),
    ],
)
def test_wrong_values_are_refused(make_trainer: MakeTrainer, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_trainer(**given)
