"""The loss of a step is the mean over its label tokens, however the step is cut."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from fgc_runtime.trainers import Trainer
from fgc_runtime.trainers.losses.loss import next_token_loss_sum
from torch import Tensor
from torch.optim import SGD

MakeTrainer = Callable[..., Trainer]


def by_hand(model: Any, examples: list[dict[str, Tensor]]) -> float:
    """Each example on its own, unpadded: minus log-probability of every token but the first, over their number."""
    total, count = 0.0, 0
    with torch.no_grad():
        for example in examples:
            tokens = example["input_ids"]
            scores = model(input_ids=tokens[None]).logits[0].log_softmax(-1)
            total -= sum(float(scores[place, token]) for place, token in enumerate(tokens[1:].tolist()))
            count += len(tokens) - 1
    return total / count


def test_sum_shifts_labels_and_ignores_minus_100() -> None:
    logits = torch.randn(1, 3, 5, generator=torch.Generator().manual_seed(0))
    scores = logits[0].log_softmax(-1)
    labels = torch.tensor([[4, 2, -100]])
    torch.testing.assert_close(next_token_loss_sum(logits, labels), -scores[0, 2])


def test_sum_is_float32_for_bfloat16_logits() -> None:
    logits = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    labels = torch.randint(5, (2, 4), generator=torch.Generator().manual_seed(1))
    loss = next_token_loss_sum(logits, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, next_token_loss_sum(logits.float(), labels), rtol=0, atol=0)


def test_first_loss_is_the_mean_over_the_tokens_of_the_whole_step(
    make_trainer: MakeTrainer, examples: Callable[..., Any], tiny_model: Callable[..., Any]
) -> None:
    data = examples(8)
    trainer = make_trainer(train_dataset=data, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    trainer.train()
    # float32 sums of about 80 terms in another order
    assert trainer.callbacks[0].losses[0] == pytest.approx(by_hand(tiny_model(), data), rel=1e-6)


@pytest.mark.parametrize(("batch_size", "accumulation"), [(1, 8), (4, 2), (2, 4)])
def test_micro_batches_and_accumulation_change_nothing(
    make_trainer: MakeTrainer, batch_size: int, accumulation: int
) -> None:
    reference = make_trainer(per_device_train_batch_size=8, optimizer_factory=partial(SGD, lr=0.5))
    trainer = make_trainer(
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=accumulation,
        optimizer_factory=partial(SGD, lr=0.5),
    )
    reference.train()
    trainer.train()
    assert trainer.callbacks[0].losses == pytest.approx(reference.callbacks[0].losses, abs=1e-6)
    for ours, theirs in zip(trainer.model.parameters(), reference.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_learning_lowers_the_loss(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(num_train_epochs=5)
    trainer.train()
    losses = trainer.callbacks[0].losses
    assert losses[-1] < losses[0] - 0.5


def test_a_short_window_at_the_end_of_an_epoch_is_a_step_of_its_own(
    make_trainer: MakeTrainer, examples: Callable[..., Any]
) -> None:
    data = examples(5)
    trainer = make_trainer(train_dataset=data, per_device_train_batch_size=1, gradient_accumulation_steps=4)
    trainer.train()
    assert trainer.state.global_step == 2
    assert trainer.state.num_micro_batches == 5
    assert all(parameter.grad is None for parameter in trainer.model.parameters())  # nothing leaks into a next epoch


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_eval_loss_does_not_depend_on_the_batch_size(
    make_trainer: MakeTrainer, examples: Callable[..., Any], tiny_model: Callable[..., Any], batch_size: int
) -> None:
    data = examples(10, seed=5)
    metrics = make_trainer(eval_dataset=data, per_device_eval_batch_size=batch_size).evaluate()
    assert metrics["eval_loss"] == pytest.approx(by_hand(tiny_model(), data), rel=1e-6)
    assert metrics["perplexity"] == pytest.approx(2.718281828459045 ** metrics["eval_loss"])
    assert metrics["eval_tokens"] == sum(len(example["input_ids"]) - 1 for example in data)


def test_eval_loss_knows_nothing_of_gradient_accumulation(
    make_trainer: MakeTrainer, examples: Callable[..., Any]
) -> None:
    data = examples(10, seed=5)
    plain = make_trainer(eval_dataset=data).evaluate()
    accumulating = make_trainer(eval_dataset=data, gradient_accumulation_steps=4)
    assert accumulating.evaluate() == plain


def test_max_eval_steps_divides_by_what_was_evaluated(
    make_trainer: MakeTrainer, examples: Callable[..., Any], tiny_model: Callable[..., Any]
) -> None:
    data = examples(10, seed=5)
    metrics = make_trainer(eval_dataset=data, per_device_eval_batch_size=2, max_eval_steps=3).evaluate()
    assert metrics["eval_loss"] == pytest.approx(by_hand(tiny_model(), data[:6]), rel=1e-6)


def test_evaluating_after_training_leaves_the_trained_model_alone(
    make_trainer: MakeTrainer, examples: Callable[..., Any], tiny_model: Callable[..., Any]
) -> None:
    data = examples(6, seed=5)
    trainer = make_trainer(model=tiny_model, eval_dataset=data)
    trainer.train()
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    first = trainer.evaluate()
    assert trainer.evaluate() == first
    assert first["eval_loss"] == pytest.approx(by_hand(trainer.model, data), rel=1e-6)
    for name, tensor in trainer.model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_gradient_checkpointing_changes_nothing(make_trainer: MakeTrainer) -> None:
    plain, checkpointing = make_trainer(), make_trainer(gradient_checkpointing=True)
    plain.train()
    checkpointing.train()
    assert checkpointing.callbacks[0].losses == pytest.approx(plain.callbacks[0].losses, abs=1e-6)


def test_gradients_are_clipped_to_the_norm_that_was_asked_for(make_trainer: MakeTrainer) -> None:
    norms = []

    class Norms(type(make_trainer().callbacks[0])):  # type: ignore[misc]
        def on_pre_optimizer_step(self, run: Any) -> None:
            norms.append(torch.nn.utils.get_total_norm([p.grad for p in run.model.parameters()]).item())

    trainer = make_trainer(max_grad_norm=0.01, callbacks=[Norms()])
    trainer.train()
    assert norms == pytest.approx([0.01] * len(norms), rel=1e-3)  # clip_grad_norm_ divides by norm + 1e-6
    assert all(record["grad_norm"] > 0.01 for record in trainer.callbacks[0].logs if "grad_norm" in record)
