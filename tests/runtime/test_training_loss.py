"""Training minimises what the model's configuration says: cross entropy, a router's balance, smoothed labels."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from fgc_runtime.trainers import NextTokenLoss, Trainer, TrainingArguments
from fgc_runtime.trainers.losses.probes import require_known_terms
from fgc_runtime.trainers.losses.training_loss import model_terms
from torch import Tensor
from torch.optim import SGD
from transformers import LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

MakeTrainer = Callable[..., Trainer]


def tiny_mixtral(coefficient: float, *, is_added: bool = True) -> MixtralForCausalLM:
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        num_local_experts=4,
        max_position_embeddings=64,
        router_aux_loss_coef=coefficient,
        output_router_logits=is_added,
    )
    return MixtralForCausalLM(config)


def weights_after(make_trainer: MakeTrainer, coefficient: float, **given: Any) -> list[Tensor]:
    trainer = make_trainer(model=tiny_mixtral(coefficient), max_steps=2, **given)
    trainer.train()
    return [parameter.detach().clone() for parameter in trainer.model.parameters()]


def test_the_balance_of_a_router_is_trained_as_the_model_itself_adds_it(make_trainer: MakeTrainer) -> None:
    """One step of plain gradient descent, against the loss that transformers' model returns for the same batch."""
    rows = [{"input_ids": torch.randint(3, 64, (12,), generator=torch.Generator().manual_seed(1))}] * 4
    trainer = make_trainer(
        model=tiny_mixtral(3.0),
        train_dataset=rows,
        max_steps=1,
        max_grad_norm=None,
        optimizer_factory=partial(SGD, lr=0.1),
        lr_scheduler_type="constant",
    )
    trainer.train()
    reference = tiny_mixtral(3.0)
    batch = torch.stack([row["input_ids"] for row in rows])
    reference(input_ids=batch, labels=batch).loss.backward()
    for ours, theirs in zip(trainer.model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs - 0.1 * theirs.grad, rtol=1e-5, atol=1e-6)


def test_a_coefficient_changes_the_weights_and_zero_adds_nothing(make_trainer: MakeTrainer) -> None:
    without, much = weights_after(make_trainer, 0.0), weights_after(make_trainer, 100.0)
    assert any(not torch.equal(one, other) for one, other in zip(without, much, strict=True))
    assert model_terms(tiny_mixtral(0.0)) == {} and model_terms(tiny_mixtral(1.0, is_added=False)) == {}


def test_accumulation_does_not_change_how_much_the_balance_weighs(make_trainer: MakeTrainer) -> None:
    """The balance is one of each micro-batch, so equal rows are needed for equal steps."""
    rows = [{"input_ids": torch.arange(3, 15)}] * 8
    whole = weights_after(make_trainer, 10.0, train_dataset=rows, per_device_train_batch_size=4)
    parts = weights_after(
        make_trainer, 10.0, train_dataset=rows, per_device_train_batch_size=2, gradient_accumulation_steps=2
    )
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_each_term_is_logged_by_its_name_in_training_and_evaluation(make_trainer: MakeTrainer) -> None:
    rows = [{"input_ids": torch.arange(3, 15)}] * 8
    trainer = make_trainer(model=tiny_mixtral(0.5), train_dataset=rows, eval_dataset=rows, max_steps=1)
    trainer.train()
    logged = trainer.log_history[0]
    assert 1.0 <= logged["router_aux_loss"] <= 4.0, "2 where all of 4 experts get the same, of 2 per token"
    metrics = trainer.evaluate()
    assert 1.0 <= metrics["eval_router_aux_loss"] <= 4.0
    assert metrics["perplexity"] == pytest.approx(torch.tensor(metrics["eval_loss"]).exp().item(), rel=1e-6)


def test_smoothed_labels_are_those_of_torch_and_evaluations_have_none(make_trainer: MakeTrainer) -> None:
    rows = [{"input_ids": torch.arange(3, 15)}] * 4
    trainer = make_trainer(
        train_dataset=rows, eval_dataset=rows, max_steps=1, learning_rate=0.0, loss=NextTokenLoss(label_smoothing=0.2)
    )
    trainer.train()
    batch = torch.stack([row["input_ids"] for row in rows])
    with torch.no_grad():
        logits = trainer.model(input_ids=batch).logits[:, :-1].flatten(0, 1)
    expected = [torch.nn.functional.cross_entropy(logits, batch[:, 1:].flatten(), label_smoothing=e) for e in (0.2, 0)]
    found = [trainer.log_history[0]["loss"], trainer.evaluate()["eval_loss"]]
    assert found == pytest.approx([loss.item() for loss in expected], rel=1e-5)
    with pytest.raises(ValueError, match=r"label_smoothing \(1\.0\) must be at least 0 and below 1"):
        NextTokenLoss(label_smoothing=1.0)


def test_a_model_that_adds_a_term_of_its_own_is_refused(tiny_model: Callable[..., LlamaForCausalLM]) -> None:
    class Regularised(LlamaForCausalLM):
        def forward(self, *given: Any, labels: Tensor | None = None, **named: Any) -> Any:
            outputs = super().forward(*given, labels=labels, **named)
            if labels is not None:
                outputs.loss = outputs.loss + 0.1 * outputs.logits.logsumexp(-1).square().mean()
            return outputs

    model = tiny_model()
    require_known_terms(model)
    with pytest.raises(ValueError, match=r"Regularised computes a loss of .* a term that the trainer does not know"):
        require_known_terms(Regularised(model.config))


def test_a_fused_loss_is_refused_where_it_would_leave_a_term_out(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match="must be 'no' with router_aux_loss"):
        make_trainer(model=tiny_mixtral(0.5), fused_loss="chunked")


def test_a_pipeline_refuses_what_its_last_stage_cannot_compute() -> None:
    from fgc_runtime.trainers.strategies.pipeline.strategy import _check_loss

    args = TrainingArguments()
    with pytest.raises(ValueError, match=r"Pipeline cannot train router_aux_loss, .* 0\.5 times"):
        _check_loss(NextTokenLoss(), tiny_mixtral(0.5), args)
    with pytest.raises(ValueError, match="must be NextTokenLoss without label_smoothing"):
        _check_loss(NextTokenLoss(label_smoothing=0.1), tiny_mixtral(0.0), args)
    _check_loss(NextTokenLoss(), tiny_mixtral(0.0), args)
