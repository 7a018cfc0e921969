"""Edges of the loop: no data, little data, one step, endless data, losses that are not numbers."""

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from fgc_runtime.callbacks import TrainerCallback, TrainingRun
from fgc_runtime.trainers import Trainer, TrainingArguments
from fgc_runtime.trainers.loop import nonfinite
from torch.optim import SGD
from torch.optim.lr_scheduler import ConstantLR
from torch.utils.data import IterableDataset

MakeTrainer = Callable[..., Trainer]


class Stream(IterableDataset[Any]):
    """Examples without a length."""

    def __init__(self, examples: list[Any]) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[Any]:
        return iter(self.examples)


def test_no_eval_dataset_is_needed(make_trainer: MakeTrainer) -> None:
    assert make_trainer(eval_dataset=None).train()["train_steps"] == 6


def test_eval_strategy_without_eval_dataset_is_refused_at_once(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match=r"eval_strategy \('steps'\) must be 'no' where there is no eval_dataset"):
        make_trainer(eval_strategy="steps")


def test_evaluate_without_eval_dataset_says_what_is_missing(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match=r"eval_dataset \(None\) must be given"):
        make_trainer().evaluate()


@pytest.mark.parametrize("name", ["train_dataset", "eval_dataset"])
def test_an_empty_data_set_is_refused_at_once(make_trainer: MakeTrainer, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} \(list\) must not be empty"):
        make_trainer(**{name: []})


@pytest.mark.parametrize("is_factory", [True, False])
def test_what_is_no_model_of_transformers_is_refused_at_once(make_trainer: MakeTrainer, is_factory: bool) -> None:
    adapted = type("PeftModelForCausalLM", (torch.nn.Module,), {"__module__": "peft.peft_model"})
    with pytest.raises(ValueError, match=r"model \(PeftModelForCausalLM\) .*:fine_tuned gives a model an adapter"):
        make_trainer(model=adapted if is_factory else adapted())


def test_an_empty_stream_is_refused_when_it_turns_out(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match="train_dataset is empty"):
        make_trainer(train_dataset=Stream([]), max_steps=3).train()
    with pytest.raises(ValueError, match="eval_dataset holds no label tokens"):
        make_trainer(eval_dataset=Stream([])).evaluate()


def test_a_data_set_smaller_than_a_batch_makes_one_step_per_epoch(
    make_trainer: MakeTrainer, examples: Callable[..., Any]
) -> None:
    trainer = make_trainer(train_dataset=examples(3), per_device_train_batch_size=8, num_train_epochs=4)
    trainer.train()
    assert trainer.state.global_step == 4
    assert [record["epoch"] for record in trainer.callbacks[0].logs if "loss" in record] == [1, 2, 3, 4]


def test_one_step_has_finite_totals(make_trainer: MakeTrainer) -> None:
    totals = make_trainer(max_steps=1).train()
    assert totals["train_steps"] == 1
    assert totals["train_examples"] == 4
    assert all(math.isfinite(value) and value > 0 for value in totals.values())


def test_epochs_count_examples_and_not_micro_batches(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(per_device_train_batch_size=2, gradient_accumulation_steps=3)
    trainer.train()
    assert [record["epoch"] for record in trainer.callbacks[0].logs if "loss" in record] == [0.25, 0.5, 0.75, 1.0]
    assert (trainer.state.global_step, trainer.state.num_micro_batches, trainer.state.num_examples) == (4, 12, 24)


def test_tokens_are_those_that_the_loss_counted(make_trainer: MakeTrainer, examples: Callable[..., Any]) -> None:
    trainer = make_trainer(train_dataset=examples(7))
    totals = trainer.train()
    assert trainer.state.num_tokens == sum(len(example["input_ids"]) - 1 for example in examples(7))
    assert totals["train_tokens"] == trainer.state.num_tokens


def test_max_steps_goes_round_the_data_as_often_as_needed(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_steps=15)
    trainer.train()
    assert trainer.state.global_step == 15
    assert trainer.state.epochs_done == 2.5


def test_part_of_an_epoch_can_be_asked_for(make_trainer: MakeTrainer) -> None:
    assert make_trainer(num_train_epochs=0.5).train()["train_steps"] == 3


def test_a_stream_needs_max_steps(make_trainer: MakeTrainer, examples: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"max_steps \(-1\) must be above 0"):
        make_trainer(train_dataset=Stream(examples(9))).train()


def test_a_stream_trains_like_the_same_examples_in_order(
    make_trainer: MakeTrainer, examples: Callable[..., Any]
) -> None:
    stream = make_trainer(train_dataset=Stream(examples(9)), max_steps=7)
    rows = make_trainer(train_dataset=examples(9), max_steps=7, shuffle=False)
    stream.train()
    rows.train()
    assert stream.callbacks[0].losses == rows.callbacks[0].losses
    assert (stream.state.epoch, stream.state.examples_in_epoch) == (rows.state.epoch, rows.state.examples_in_epoch)


def test_workers_change_nothing(make_trainer: MakeTrainer) -> None:
    alone, helped = make_trainer(), make_trainer(dataloader_num_workers=1)
    alone.train()
    helped.train()
    assert helped.callbacks[0].losses == alone.callbacks[0].losses


def test_shuffling_reads_each_example_once_per_epoch_in_another_order(
    make_trainer: MakeTrainer, examples: Callable[..., Any]
) -> None:
    seen: list[int] = []

    class Watched(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            example = super().__getitem__(index)
            seen.append(index)
            return example

    make_trainer(train_dataset=Watched(examples(24)), num_train_epochs=2).train()
    looked_at = 16  # before the first step, for the fingerprint of the data
    first, second = seen[looked_at : looked_at + 24], seen[looked_at + 24 :]
    assert sorted(first) == sorted(second) == list(range(24))
    assert len({tuple(first), tuple(second), tuple(range(24))}) == 3


def test_the_same_seed_gives_the_same_run(make_trainer: MakeTrainer, tiny_model: Callable[..., Any]) -> None:
    runs = [make_trainer(model=partial(tiny_model, dropout=0.2), seed=seed) for seed in (7, 7, 8)]
    for trainer in runs:
        trainer.train()
    first, again, other = (trainer.callbacks[0].losses for trainer in runs)
    assert first == again
    assert first != other


def test_python_and_numpy_are_seeded_too(make_trainer: MakeTrainer) -> None:
    make_trainer(seed=5)
    first = (random.random(), numpy.random.rand(), torch.rand(1).item())
    make_trainer(seed=5)
    assert (random.random(), numpy.random.rand(), torch.rand(1).item()) == first


@pytest.mark.parametrize("bad_step", [1, 4])
def test_a_loss_that_is_not_a_number_ends_training_and_names_its_step(make_trainer: MakeTrainer, bad_step: int) -> None:
    class Poison(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            if run.state.global_step == bad_step - 1:
                run.model.lm_head.weight.data[0, 0] = math.nan

        def on_train_begin(self, run: TrainingRun) -> None:
            self.on_step_end(run)

    trainer = make_trainer(callbacks=[Poison()], logging_steps=50, num_train_epochs=10)
    with pytest.raises(FloatingPointError, match=rf"the loss is nan at step {bad_step} \(epoch 0"):
        trainer.train()
    assert trainer.state.global_step == bad_step  # noticed before any other step


def test_a_gradient_that_is_not_a_number_ends_training_at_its_own_step(make_trainer: MakeTrainer) -> None:
    """Its loss is finite: the next one would not be, and would blame the next batch."""
    trainer = make_trainer(logging_steps=50, num_train_epochs=10)
    weight = trainer.model.lm_head.weight
    weight.register_hook(lambda gradient: gradient * math.nan if trainer.state.global_step == 2 else gradient)
    with pytest.raises(FloatingPointError, match=r"the gradient's norm is nan at step 3 \(epoch 0, examples 8 to 11 "):
        trainer.train()
    assert trainer.state.global_step == 3


def test_weights_of_nans_do_not_replace_a_good_checkpoint(make_trainer: MakeTrainer, tmp_path: Any) -> None:
    class Broken(SGD):
        def step(self, closure: Any = None) -> None:
            super().step(closure)
            if trainer.state.global_step == 3:
                self.param_groups[0]["params"][0].data.fill_(math.inf)

    trainer = make_trainer(
        logging_steps=50, save_strategy="steps", save_steps=2, save_total_limit=1, optimizer_factory=Broken
    )
    with pytest.raises(FloatingPointError, match="weights are not finite at step 4 "):
        trainer.train()
    assert [path.name for path in tmp_path.rglob("checkpoint-*")] == ["checkpoint-2"]


def test_a_gpus_verdict_is_read_when_it_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = [SimpleNamespace(has_come=False, is_bad=is_bad) for is_bad in (False, True)]
    coming = iter(verdicts)
    monkeypatch.setattr(nonfinite, "Verdict", lambda _: next(coming))
    watch = nonfinite.FiniteWatch()
    for _ in range(2):
        watch.see(torch.zeros((), device="meta"))
    assert not watch.is_bad
    verdicts[1].has_come = True
    assert not watch.is_bad  # they come in order
    verdicts[0].has_come = True
    assert watch.is_bad


def test_a_model_of_nans_is_never_saved(make_trainer: MakeTrainer, tmp_path: Any) -> None:
    trainer = make_trainer(logging_steps=50, save_strategy="steps", save_steps=1)
    trainer.model.lm_head.weight.data[0, 0] = math.nan
    with pytest.raises(FloatingPointError):
        trainer.train()
    assert not list(tmp_path.rglob("checkpoint-*"))


def test_callbacks_see_gradients_before_the_optimizer_uses_them(make_trainer: MakeTrainer) -> None:
    are_complete = []

    class Gradients(TrainerCallback):
        def on_pre_optimizer_step(self, run: TrainingRun) -> None:
            are_complete.append(all(parameter.grad is not None for parameter in run.model.parameters()))

    make_trainer(callbacks=[Gradients()]).train()
    assert are_complete == [True] * 6


def test_a_callback_can_stop_the_run(make_trainer: MakeTrainer) -> None:
    class StopAtTwo(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            run.control.should_stop = run.state.global_step == 2

    assert make_trainer(callbacks=[StopAtTwo()]).train()["train_steps"] == 2


def test_a_callback_can_ask_for_a_checkpoint_and_an_evaluation(
    make_trainer: MakeTrainer, examples: Callable[..., Any], tmp_path: Any, recorder: Any
) -> None:
    class AskAtTwo(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            run.control.should_save = run.control.should_evaluate = run.state.global_step == 2

    make_trainer(callbacks=[AskAtTwo(), recorder], eval_dataset=examples(3)).train()
    assert [record["step"] for record in recorder.logs if "eval_loss" in record] == [2]
    assert [path.name for path in (tmp_path / "out/checkpoints").iterdir()] == ["checkpoint-2"]


def test_evaluating_in_between_changes_nothing(
    make_trainer: MakeTrainer, tiny_model: Callable[..., Any], examples: Callable[..., Any]
) -> None:
    plain = make_trainer(model=partial(tiny_model, dropout=0.3))
    evaluating = make_trainer(
        model=partial(tiny_model, dropout=0.3), eval_dataset=examples(3), eval_strategy="steps", eval_steps=1
    )
    plain.train()
    evaluating.train()
    assert evaluating.callbacks[0].losses == plain.callbacks[0].losses


def test_a_logged_loss_is_the_mean_over_the_tokens_since_the_last_log(
    make_trainer: MakeTrainer, examples: Callable[..., Any]
) -> None:
    each, thirds = make_trainer(shuffle=False), make_trainer(shuffle=False, logging_steps=3)
    each.train()
    thirds.train()
    data = examples(24)
    tokens = [sum(len(row["input_ids"]) - 1 for row in data[first : first + 4]) for first in range(0, 24, 4)]
    sums = [loss * count for loss, count in zip(each.callbacks[0].losses, tokens, strict=True)]
    expected = [sum(sums[:3]) / sum(tokens[:3]), sum(sums[3:]) / sum(tokens[3:])]
    assert thirds.callbacks[0].losses == pytest.approx(expected)


def test_callbacks_are_told_of_the_end_of_a_run_that_failed(make_trainer: MakeTrainer) -> None:
    class Fails(TrainerCallback):
        has_ended = False

        def on_step_end(self, run: TrainingRun) -> None:
            raise OSError("disk full")

        def on_train_end(self, run: TrainingRun) -> None:
            self.has_ended = True

    callback = Fails()
    with pytest.raises(OSError, match="disk full"):
        make_trainer(callbacks=[callback]).train()
    assert callback.has_ended


def test_strategies_by_epoch(make_trainer: MakeTrainer, examples: Callable[..., Any], tmp_path: Any) -> None:
    trainer = make_trainer(eval_dataset=examples(3), eval_strategy="epoch", save_strategy="epoch", num_train_epochs=2)
    trainer.train()
    assert [record["step"] for record in trainer.callbacks[0].logs if "eval_loss" in record] == [6, 12]
    assert sorted(path.name for path in (tmp_path / "out/checkpoints").iterdir()) == ["checkpoint-12", "checkpoint-6"]


def test_the_optimizer_factory_gets_groups_with_and_without_decay(
    make_trainer: MakeTrainer, tiny_model: Callable[..., Any]
) -> None:
    made = []

    def factory(groups: Any) -> SGD:
        made.append(SGD(groups, lr=0.1, weight_decay=0.3))
        return made[0]

    trainer = make_trainer(optimizer_factory=factory, model=tiny_model(is_tied=True))
    trainer.train()
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    decays = {names[id(p)]: group["weight_decay"] for group in made[0].param_groups for p in group["params"]}
    assert len(decays) == len(names)
    assert {name for name, decay in decays.items() if decay == 0} == {
        name for name in decays if "norm" in name or "embed" in name
    }
    assert set(decays.values()) == {0.0, 0.3}


def test_a_scheduler_factory_is_told_the_number_of_steps_if_it_asks(make_trainer: MakeTrainer) -> None:
    told = []

    def factory(optimizer: Any, num_training_steps: int) -> ConstantLR:
        told.append(num_training_steps)
        return ConstantLR(optimizer, factor=0.5, total_iters=100)

    make_trainer(lr_scheduler_factory=factory).train()
    trainer = make_trainer(lr_scheduler_factory=partial(ConstantLR, factor=0.5, total_iters=100))
    trainer.train()
    assert told == [6]
    assert {record["learning_rate"] for record in trainer.callbacks[0].logs if "loss" in record} == {0.005}


def test_logged_rate_is_that_of_the_step_and_never_0(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(warmup_steps=2, lr_scheduler_type="linear")
    trainer.train()
    rates = [record["learning_rate"] for record in trainer.callbacks[0].logs if "loss" in record]
    assert rates == pytest.approx([0.005, 0.01, 0.01, 0.0075, 0.005, 0.0025])


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("per_device_train_batch_size", 0, "must be at least 1"),
        ("learning_rate", -1.0, "must not be negative"),
        ("max_steps", 0, r"must be -1 \(no limit\) or above 0"),
        ("num_train_epochs", 0, "must be above 0"),
        ("eval_strategy", "step", "must be one of no, steps, epoch"),
        ("lr_scheduler_type", "cosin", "must be one of constant, cosine, linear"),
        ("max_grad_norm", 0.0, "must be above 0, or None"),
        ("min_lr_ratio", 1.5, "must lie between 0 and 1"),
    ],
)
def test_arguments_name_parameter_value_and_rule(name: str, value: object, rule: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} \({value!r}\) {rule}"):
        TrainingArguments(**{name: value})  # type: ignore[arg-type]


def test_arguments_can_be_changed_only_by_making_new_ones() -> None:
    args = TrainingArguments(max_steps=3)
    with pytest.raises(AttributeError):
        args.max_steps = 4  # type: ignore[misc]
    assert replace(args, max_steps=4).max_steps == 4


def test_arguments_are_json(make_trainer: MakeTrainer, tmp_path: Any) -> None:
    from fgc_runtime.callbacks import JsonLogCallback

    make_trainer(callbacks=[JsonLogCallback()], logging_dir=tmp_path / "logs").train()
    first, *records = [json.loads(line) for line in (tmp_path / "logs/trainer_logs.json").read_text().splitlines()]
    assert first["arguments"]["per_device_train_batch_size"] == 4
    assert [record["global_step"] for record in records] == [1, 2, 3, 4, 5, 6, 6]
