"""The fused loss is the plain one: value and gradients, whatever the chunks."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from fgc_runtime.trainers import Trainer
from fgc_runtime.trainers.losses.fused_loss import chunked_linear_cross_entropy
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

MakeTrainer = Callable[..., Trainer]

ROWS, CHANNELS, VOCAB = 23, 8, 37


def inputs(*, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(ROWS, CHANNELS, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(VOCAB, CHANNELS, generator=generator, dtype=dtype, requires_grad=True)
    bias = torch.randn(VOCAB, generator=generator, dtype=dtype, requires_grad=True)
    targets = torch.randint(VOCAB, (ROWS,), generator=generator)
    targets[::4] = -100
    return hidden, weight, bias, targets


def by_definition(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, softcap: float | None
) -> Tensor:
    logits = functional.linear(hidden, weight, bias)
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    return functional.cross_entropy(logits, targets, ignore_index=-100, reduction="sum")


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("chunk_size", [1, 7, 23, 100, None])
def test_value_and_gradients_are_those_of_the_definition(
    chunk_size: int | None, with_bias: bool, softcap: float | None
) -> None:
    found = []
    for loss_of in (
        lambda *given: chunked_linear_cross_entropy(*given, softcap=softcap, chunk_size=chunk_size),
        lambda *given: by_definition(*given, softcap),
    ):
        hidden, weight, bias, targets = inputs(dtype=torch.float32)
        loss = loss_of(hidden, weight, bias if with_bias else None, targets)
        (loss * 0.37).backward()
        found.append((loss.detach(), hidden.grad, weight.grad, bias.grad if with_bias else None))
    for ours, theirs in zip(*found, strict=True):
        # float32, sums of up to 23 terms of size 1 to 10
        torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=2e-6)


def test_nothing_counted_is_a_loss_of_0_with_gradients_of_0() -> None:
    hidden, weight, _, targets = inputs(dtype=torch.float32)
    loss = chunked_linear_cross_entropy(hidden, weight, None, torch.full_like(targets, -100), chunk_size=5)
    loss.backward()
    assert loss.item() == 0
    assert hidden.grad is not None and weight.grad is not None
    assert not hidden.grad.any() and not weight.grad.any()


def test_frozen_head_and_frozen_hidden_states_get_no_gradient() -> None:
    hidden, weight, _, targets = inputs(dtype=torch.float32)
    chunked_linear_cross_entropy(hidden, weight.detach(), None, targets, chunk_size=5).backward()
    assert hidden.grad is not None
    chunked_linear_cross_entropy(hidden.detach(), weight, None, targets, chunk_size=5).backward()
    assert weight.grad is not None


def test_bfloat16_products_stay_within_bfloat16_of_the_plain_loss() -> None:
    hidden, weight, _, targets = inputs(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        fused = chunked_linear_cross_entropy(hidden, weight, None, targets, chunk_size=5)
    fused.backward()
    assert weight.grad is not None and weight.grad.dtype == torch.float32
    torch.testing.assert_close(fused, by_definition(hidden, weight, None, targets, None), rtol=2**-7, atol=0.0)


@pytest.mark.parametrize("is_tied", [False, True])
def test_training_with_it_is_training_without_it(
    make_trainer: MakeTrainer, tiny_model: Callable[..., Any], examples: Callable[..., Any], is_tied: bool
) -> None:
    arguments = {"eval_dataset": examples(5, seed=1), "gradient_accumulation_steps": 2}
    plain = make_trainer(model=tiny_model(is_tied=is_tied), **arguments)
    fused = make_trainer(model=tiny_model(is_tied=is_tied), fused_loss="chunked", fused_loss_chunk_size=9, **arguments)
    plain.train()
    fused.train()
    assert fused.callbacks[0].losses == pytest.approx(plain.callbacks[0].losses, abs=1e-6)
    assert fused.evaluate()["eval_loss"] == pytest.approx(plain.evaluate()["eval_loss"], abs=1e-6)


@pytest.mark.parametrize(("kind", "package"), [("liger", "liger-kernel"), ("cut_cross_entropy", "cut-cross-entropy")])
def test_a_package_that_is_not_installed_is_named(make_trainer: MakeTrainer, kind: str, package: str) -> None:
    with pytest.raises(ValueError, match=rf"fused_loss \('{kind}'\) needs the package {package}"):
        make_trainer(fused_loss=kind)


def test_auto_is_chunked_where_there_is_no_gpu(make_trainer: MakeTrainer) -> None:
    auto, chunked = make_trainer(fused_loss="auto"), make_trainer(fused_loss="chunked")
    auto.train()
    chunked.train()
    assert auto.callbacks[0].losses == chunked.callbacks[0].losses


def test_installed_packages_are_called_by_their_own_signatures(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signatures are those of liger-kernel 0.6 and cut-cross-entropy 25; both need a GPU to run."""

    class LigerFusedLinearCrossEntropyLoss:
        def __init__(self, *, ignore_index: int, reduction: str, softcap: float | None) -> None:
            assert (ignore_index, reduction) == (-100, "sum")

        def __call__(self, lin_weight: Tensor, _input: Tensor, target: Tensor, bias: Tensor | None = None) -> Tensor:
            return by_definition(_input, lin_weight, bias, target, None)

    def linear_cross_entropy(
        e: Tensor, c: Tensor, targets: Tensor, bias: Any = None, *, ignore_index: int, softcap: Any, reduction: str
    ) -> Tensor:
        assert (ignore_index, reduction) == (-100, "sum")
        return by_definition(e, c, bias, targets, softcap)

    liger, kernels, cut = (
        ModuleType(name) for name in ("liger_kernel", "liger_kernel.transformers", "cut_cross_entropy")
    )
    kernels.LigerFusedLinearCrossEntropyLoss = LigerFusedLinearCrossEntropyLoss  # type: ignore[attr-defined]
    cut.linear_cross_entropy = linear_cross_entropy  # type: ignore[attr-defined]
    for module in (liger, kernels, cut):
        module.__spec__ = object()  # type: ignore[assignment]  # find_spec looks for one
        monkeypatch.setitem(sys.modules, module.__name__, module)
    losses = []
    for kind in ("no", "liger", "cut_cross_entropy"):
        trainer = make_trainer(fused_loss=kind)
        trainer.train()
        losses.append(trainer.callbacks[0].losses)
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)
    assert losses[2] == pytest.approx(losses[0], abs=1e-6)


class MultipliedLlama(LlamaForCausalLM):
    """Multiplies its logits, as Falcon-H1 does, under a name that no list has."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **options: Any) -> Any:
        outputs = super().forward(input_ids, attention_mask=attention_mask, use_cache=False)
        outputs.logits = outputs.logits * 3
        return outputs


def test_a_factor_on_logits_that_the_fused_loss_would_leave_out_is_refused(
    make_trainer: MakeTrainer, tiny_model: Callable[..., LlamaForCausalLM]
) -> None:
    model = MultipliedLlama(tiny_model().config)
    with pytest.raises(ValueError, match=r"fused_loss \('chunked'\) does not know all that MultipliedLlama does"):
        make_trainer(model=model, fused_loss="chunked")
    make_trainer(model=model)


def test_an_objective_returns_no_view(make_trainer: MakeTrainer) -> None:
    """FSDP2 warns of one at each start."""
    trainer = make_trainer()
    sums = trainer.strategy.objective(trainer.data_collator([trainer.train_dataset[0]]))
    assert sums.shape == (1,) and not sums._is_view()
