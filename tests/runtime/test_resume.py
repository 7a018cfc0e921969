"""A run that stops and goes on computes the very numbers of one that never stopped."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from fgc_runtime.callbacks import TrainerCallback, TrainingRun
from fgc_runtime.checkpoint import DamagedCheckpoint
from fgc_runtime.optim import Adafactor, Apollo, BFloat16AdamW, GaLore, Lion, SinkGD, muon
from fgc_runtime.trainers import ResumeRefused, Trainer
from torch.optim import SGD
from torch.utils.data import IterableDataset

MakeTrainer = Callable[..., Trainer]


class StopAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, run: TrainingRun) -> None:
        run.control.should_stop = run.state.global_step == self.step


def run_of_10(make_trainer: MakeTrainer, model: Any, recorder: Any, *, stop_at: int = 99, **more: Any) -> Trainer:
    """Three epochs of six steps, of which ten are run; dropout, so that random states matter."""
    settings = {"max_steps": 10, "save_strategy": "steps", "save_steps": 1000, "save_total_limit": None, **more}
    trainer = make_trainer(model=partial(model, dropout=0.3), callbacks=[recorder, StopAt(stop_at)], **settings)
    trainer.train()
    return trainer


# inside the first epoch, at its end, inside the second
@pytest.mark.parametrize("stop_at", [2, 6, 8])
def test_resumed_losses_and_weights_are_bit_equal(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, tmp_path: Any, stop_at: int
) -> None:
    straight, before, after = recorder_class(), recorder_class(), recorder_class()
    reference = run_of_10(make_trainer, tiny_model, straight, output_dir=tmp_path / "straight")
    run_of_10(make_trainer, tiny_model, before, stop_at=stop_at)
    resumed = run_of_10(make_trainer, tiny_model, after, resume_from_checkpoint=True)
    assert before.losses + after.losses == straight.losses
    assert len(after.losses) == 10 - stop_at
    for ours, theirs in zip(resumed.model.parameters(), reference.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert resumed.state == reference.state


@pytest.mark.parametrize(
    "optimizer",
    [
        partial(SGD, lr=0.1, momentum=0.9),
        partial(Adafactor, lr=1e-2, beta1=0.9),
        partial(Apollo, lr=1e-2, rank=2, update_interval=3),
        partial(BFloat16AdamW, lr=1e-2),
        partial(GaLore, lr=1e-2, rank=2, update_interval=3),
        partial(Lion, lr=1e-2),
        partial(muon, lr=1e-2),
        partial(SinkGD, lr=1e-2),
    ],
    ids=lambda optimizer: optimizer.func.__name__,
)
def test_every_optimizer_goes_on_from_a_checkpoint_as_if_nothing_had_been(
    make_trainer: MakeTrainer, tmp_path: Any, optimizer: Any
) -> None:
    """AdamW, the default, is that of the other tests. The break lies between two projections."""
    given = {"optimizer_factory": optimizer, "lr_scheduler_type": "constant", "save_strategy": "steps"}
    straight = make_trainer(max_steps=4, output_dir=tmp_path / "straight", **given)
    straight.train()
    make_trainer(max_steps=2, **given).train()
    resumed = make_trainer(max_steps=4, resume_from_checkpoint=True, **given)
    assert resumed.train()["train_steps"] == 2
    for ours, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_mean_over_steps_before_and_after_the_break_is_the_same(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, tmp_path: Any
) -> None:
    straight, after = recorder_class(), recorder_class()
    run_of_10(make_trainer, tiny_model, straight, logging_steps=5, output_dir=tmp_path / "straight")
    run_of_10(make_trainer, tiny_model, recorder_class(), stop_at=7, logging_steps=5)
    run_of_10(make_trainer, tiny_model, after, logging_steps=5, resume_from_checkpoint=True)
    assert after.losses == straight.losses[1:]


def test_a_stream_goes_on_at_the_next_example(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, examples: Any, tmp_path: Any
) -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter(examples(9))

    straight, before, after = recorder_class(), recorder_class(), recorder_class()
    settings = {"train_dataset": Stream()}
    run_of_10(make_trainer, tiny_model, straight, output_dir=tmp_path / "straight", **settings)
    run_of_10(make_trainer, tiny_model, before, stop_at=4, **settings)
    run_of_10(make_trainer, tiny_model, after, resume_from_checkpoint=True, **settings)
    assert before.losses + after.losses == straight.losses


def test_another_batch_size_goes_on_with_the_examples_that_are_left(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, examples: Any
) -> None:
    seen: list[int] = []

    class Watched(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            seen.append(index)
            return super().__getitem__(index)

    class Forgets(recorder_class):  # type: ignore[misc]
        def on_train_begin(self, run: TrainingRun) -> None:
            del seen[run.state.num_examples :]  # what was looked at before, or fetched after the stop

    data = Watched(examples(24))
    run_of_10(make_trainer, tiny_model, Forgets(), stop_at=3, train_dataset=data)
    run_of_10(
        make_trainer,
        tiny_model,
        Forgets(),
        train_dataset=data,
        resume_from_checkpoint=True,
        resume_anyway=True,
        per_device_train_batch_size=3,
        max_steps=7,
    )
    assert sorted(seen) == list(range(24))


def test_resuming_a_finished_run_does_nothing(make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any) -> None:
    first = run_of_10(make_trainer, tiny_model, recorder_class())
    again = run_of_10(make_trainer, tiny_model, recorder_class(), resume_from_checkpoint=True)
    assert again.state.global_step == 10
    for ours, theirs in zip(again.model.parameters(), first.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_true_without_a_checkpoint_starts_anew(make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any) -> None:
    assert run_of_10(make_trainer, tiny_model, recorder_class(), resume_from_checkpoint=True).state.global_step == 10


def test_a_path_that_holds_no_checkpoint_is_an_error(make_trainer: MakeTrainer, tmp_path: Any) -> None:
    with pytest.raises(FileNotFoundError, match=r"is no checkpoint to resume from: it has no checkpoint\.json"):
        make_trainer(resume_from_checkpoint=tmp_path / "nowhere").train()


def test_an_earlier_checkpoint_can_be_named(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, tmp_path: Any
) -> None:
    straight, after = recorder_class(), recorder_class()
    run_of_10(make_trainer, tiny_model, straight, save_steps=2)
    path = tmp_path / "out/checkpoints/checkpoint-4"
    run_of_10(make_trainer, tiny_model, after, resume_from_checkpoint=str(path))
    assert after.losses == straight.losses[4:]


def test_damaged_state_is_an_error_and_not_a_fresh_start(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, tmp_path: Any
) -> None:
    run_of_10(make_trainer, tiny_model, recorder_class(), stop_at=3)
    (tmp_path / "out/checkpoints/checkpoint-3/training_state.pt").unlink()
    with pytest.raises(DamagedCheckpoint, match=r"checkpoint-3 is damaged: training_state\.pt is missing$"):
        run_of_10(make_trainer, tiny_model, recorder_class(), resume_from_checkpoint=True)


def test_other_data_than_before_is_said(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, examples: Any
) -> None:
    run_of_10(make_trainer, tiny_model, recorder_class(), stop_at=3)
    other = {"resume_from_checkpoint": True, "train_dataset": examples(30)}
    with pytest.raises(ResumeRefused, match=r"data\.num_examples was 24 and is 30\nTo go on.*--resume-anyway"):
        run_of_10(make_trainer, tiny_model, recorder_class(), **other)
    run_of_10(make_trainer, tiny_model, recorder_class(), resume_anyway=True, **other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 7}, "seed was 42 and is 7"),
        ({"max_steps": 12}, "max_steps was 10 and is 12"),
        ({"learning_rate": 0.5}, r"optimizer\.0\.initial_lr was 0\.01 and is 0\.5"),
        ({"per_device_train_batch_size": 2}, "examples_per_step was 4 and is 2"),
        ({"lr_scheduler_type": "linear"}, "schedule was cosine and is linear"),
    ],
)
def test_what_changes_the_numbers_is_said(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, change: dict[str, Any], said: str
) -> None:
    run_of_10(make_trainer, tiny_model, recorder_class(), stop_at=3)
    with pytest.raises(ResumeRefused, match=said):
        run_of_10(make_trainer, tiny_model, recorder_class(), resume_from_checkpoint=True, **change)


def test_other_content_of_the_same_length_is_noticed(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, examples: Any
) -> None:
    run_of_10(make_trainer, tiny_model, recorder_class(), stop_at=3)
    with pytest.raises(ResumeRefused, match=r"data\.examples has changed"):
        run_of_10(
            make_trainer, tiny_model, recorder_class(), resume_from_checkpoint=True, train_dataset=examples(24, seed=1)
        )


def test_what_changes_no_number_may_change(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, examples: Any
) -> None:
    straight, after = recorder_class(), recorder_class()
    run_of_10(make_trainer, tiny_model, straight)
    run_of_10(make_trainer, tiny_model, recorder_class(), stop_at=3, output_dir=make_trainer().output_dir / "other")
    run_of_10(
        make_trainer,
        tiny_model,
        after,
        resume_from_checkpoint=make_trainer().output_dir / "other/checkpoints/checkpoint-3",
        save_steps=4,
        eval_strategy="steps",
        eval_steps=5,
        eval_dataset=examples(4),
        save_failure="continue",
    )
    assert after.losses == straight.losses[3:]


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_offered(
    make_trainer: MakeTrainer, tiny_model: Any, recorder_class: Any, tmp_path: Any
) -> None:
    run_of_10(make_trainer, tiny_model, recorder_class(), save_steps=2)
    newest = (tmp_path / "out/checkpoints").resolve() / "checkpoint-10"
    weights = bytearray((newest / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (newest / "model.safetensors").write_bytes(weights)
    with pytest.raises(DamagedCheckpoint) as refused:
        run_of_10(make_trainer, tiny_model, recorder_class(), resume_from_checkpoint=True)
    before = newest.with_name("checkpoint-8")
    assert str(refused.value) == (
        f"{newest} is damaged: the content of model.safetensors is not what was written. "
        f"The one before it is whole; go on from there with: --resume {before}"
    )
    after = recorder_class()
    run_of_10(make_trainer, tiny_model, after, resume_from_checkpoint=before)
    assert len(after.losses) == 2


def test_what_callbacks_remember_is_there_again(make_trainer: MakeTrainer) -> None:
    class Counts(TrainerCallback):
        steps = 0

        def on_step_end(self, run: TrainingRun) -> None:
            self.steps += 1

        def state_dict(self) -> dict[str, object]:
            return {"steps": self.steps}

        def load_state_dict(self, state_dict: Any) -> None:
            self.steps = state_dict["steps"]

    saving: dict[str, Any] = {"save_strategy": "steps", "lr_scheduler_type": "constant"}
    make_trainer(callbacks=[Counts(), Counts()], max_steps=3, **saving).train()
    resumed = make_trainer(callbacks=[Counts()], max_steps=5, resume_from_checkpoint=True, **saving)
    resumed.train()
    assert resumed.callbacks[0].steps == 5
    assert [record["step"] for record in resumed.log_history if "loss" in record] == [1, 2, 3, 4, 5]
