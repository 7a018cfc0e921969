"""Changes since a checkpoint hold from the next step on; a resumed run does once what was left undone."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from fgc_runtime.callbacks import TrainerCallback, TrainingRun
from fgc_runtime.checkpoint import metrics_of, read_trainer_state
from fgc_runtime.optim import linear_with_warmup, muon
from fgc_runtime.trainers import Trainer
from fgc_runtime.trainers.loop.control import TrainingInterrupted
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

MakeTrainer = Callable[..., Trainer]
EVALUATED: dict[str, Any] = {"eval_strategy": "steps", "save_strategy": "steps", "max_steps": 6}


class PauseAt(TrainerCallback):
    """Asks for a pause, behind a step or, if it is to be `inside`, in the evaluation at this step."""

    def __init__(self, step: int, *, inside: bool = False) -> None:
        self.step = step
        self.phase = "evaluating" if inside else "training"

    def on_poll(self, run: TrainingRun) -> None:
        run.control.should_pause |= run.state.global_step == self.step and run.phase == self.phase


def paused(make_trainer: MakeTrainer, callback: TrainerCallback, **settings: Any) -> None:
    with pytest.raises(TrainingInterrupted):
        make_trainer(callbacks=[callback], **settings).train()


def rates(trainer: Trainer) -> list[float]:
    return [record["learning_rate"] for record in trainer.log_history if "loss" in record]


def resumed(make_trainer: MakeTrainer, **settings: Any) -> Trainer:
    trainer = make_trainer(resume_from_checkpoint=True, resume_anyway=True, callbacks=[], **settings)
    trainer.train()
    return trainer


def schedule(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings before a break and behind it."""
    if name == "learning_rate":
        return {"learning_rate": 1e-2}, {"learning_rate": 3e-3}
    if name == "max_steps":
        return {"max_steps": 6}, {"max_steps": 9}
    if name == "warmup_steps":
        return {"warmup_steps": 0}, {"warmup_steps": 5}
    if name == "kind":
        return {"lr_scheduler_type": "constant"}, {"lr_scheduler_type": "linear"}
    if name == "factory":
        return {"lr_scheduler_factory": linear_with_warmup}, {
            "lr_scheduler_factory": partial(CosineAnnealingLR, T_max=8)
        }
    assert name == "stateful"
    return {"lr_scheduler_factory": partial(CosineAnnealingLR, T_max=8)}, {
        "lr_scheduler_factory": partial(CosineAnnealingLR, T_max=20)
    }


@pytest.mark.parametrize("name", ["learning_rate", "max_steps", "warmup_steps", "kind", "factory", "stateful"])
def test_rates_behind_a_break_are_those_of_a_run_that_had_the_new_schedule_from_the_first_step(
    make_trainer: MakeTrainer, tmp_path: Any, name: str
) -> None:
    before, after = ({"max_steps": 6, "save_strategy": "steps", **settings} for settings in schedule(name))
    straight = make_trainer(callbacks=[], output_dir=tmp_path / "straight", **after)
    straight.train()
    paused(make_trainer, PauseAt(3), **before)
    found = resumed(make_trainer, **after)
    assert rates(found)[3:] == pytest.approx(rates(straight)[3:], rel=1e-12)
    assert len(rates(found)) == after["max_steps"]


def test_a_new_weight_decay_is_what_the_optimizer_has_and_says_so(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"max_steps": 6, "save_strategy": "steps"}
    paused(make_trainer, PauseAt(3), weight_decay=0.1, **settings)
    groups: list[list[dict[str, Any]]] = []

    class Looks(TrainerCallback):
        def on_pre_optimizer_step(self, run: TrainingRun) -> None:
            groups.append([dict(group) for group in optimizers[-1].param_groups])

    optimizers: list[torch.optim.Optimizer] = []

    def made(params: Any) -> torch.optim.Optimizer:
        optimizers.append(torch.optim.AdamW(params, lr=1e-2, betas=(0.8, 0.99), weight_decay=0.3, fused=True))
        return optimizers[-1]

    make_trainer(
        optimizer_factory=made, resume_from_checkpoint=True, resume_anyway=True, callbacks=[Looks()], **settings
    ).train()
    assert [group["weight_decay"] for group in groups[0]] == [0.3, 0.0]
    assert [group["betas"] for group in groups[0]] == [(0.8, 0.99), (0.8, 0.99)]
    assert groups[0][0]["lr"] == pytest.approx(1e-2 * (1 + math.cos(math.pi * 3 / 6)) / 2)
    said = capsys.readouterr().out
    assert "optimizer.0.weight_decay was 0.1 and is 0.3; the new one holds from step 4 on" in said
    assert "optimizer.0.betas was [0.9, 0.999] and is [0.8, 0.99]; the new one holds from step 4 on" in said
    assert "optimizer.1.weight_decay" not in said


def test_nothing_else_than_what_changed_is_taken_from_the_new_optimizer(make_trainer: MakeTrainer) -> None:
    """A scheduler that moves the momentum goes on with it where only the weight decay is another."""
    momenta: list[float] = []

    class Looks(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            momenta.append(optimizers[-1].param_groups[0]["momentum"])

    optimizers: list[torch.optim.Optimizer] = []

    def made(decay: float) -> Callable[[Any], torch.optim.Optimizer]:
        def make(params: Any) -> torch.optim.Optimizer:
            optimizers.append(SGD([{**group, "weight_decay": decay} for group in params], lr=0.1, momentum=0.9))
            return optimizers[-1]

        return make

    def cycle(optimizer: torch.optim.Optimizer) -> LRScheduler:
        return OneCycleLR(optimizer, 0.1, total_steps=10)

    settings = {"max_steps": 6, "save_strategy": "steps", "lr_scheduler_factory": cycle}
    unsaved = {**settings, "save_strategy": "no"}
    make_trainer(callbacks=[Looks()], optimizer_factory=made(0.1), **unsaved).train()
    straight = momenta.copy()
    paused(make_trainer, PauseAt(3), optimizer_factory=made(0.1), **settings)
    momenta.clear()
    make_trainer(
        callbacks=[Looks()], optimizer_factory=made(0.2), resume_from_checkpoint=True, resume_anyway=True, **settings
    ).train()
    assert momenta == straight[3:]


def test_both_parts_of_a_hybrid_optimizer_get_their_new_rates(make_trainer: MakeTrainer) -> None:
    settings = {"max_steps": 6, "save_strategy": "steps", "lr_scheduler_type": "constant"}
    paused(make_trainer, PauseAt(3), optimizer_factory=partial(muon, lr=1e-2), **settings)
    made: list[Any] = []

    def make(params: Any) -> Any:
        made.append(muon(params, lr=1e-3, muon_lr=2e-3))
        return made[-1]

    resumed(make_trainer, optimizer_factory=make, **settings)
    assert [[group["lr"] for group in part.param_groups] for part in made[0].optimizers] == [[2e-3], [1e-3, 1e-3]]


def evaluations(trainer: Trainer) -> list[tuple[int, float]]:
    return [(int(record["step"]), record["eval_loss"]) for record in trainer.log_history if "eval_loss" in record]


@pytest.mark.parametrize("step", [2, 6])
def test_an_evaluation_that_was_interrupted_comes_before_the_next_step(
    make_trainer: MakeTrainer, examples: Any, tmp_path: Any, step: int
) -> None:
    settings = {**EVALUATED, "eval_steps": 2, "eval_dataset": examples(6), "per_device_eval_batch_size": 2}
    straight = make_trainer(callbacks=[], output_dir=tmp_path / "straight", **settings)
    straight.train()
    paused(make_trainer, PauseAt(step, inside=True), **settings)
    assert read_trainer_state(tmp_path / f"out/checkpoints/checkpoint-{step}")["is_evaluation_due"] is True
    found = resumed(make_trainer, **settings)
    assert [number for number, _ in evaluations(straight)] == [2, 4, 6]
    assert evaluations(found) == evaluations(straight)


def test_a_checkpoint_that_is_asked_for_inside_an_evaluation_has_it_before_it(
    make_trainer: MakeTrainer, examples: Any, tmp_path: Any
) -> None:
    class SaveInside(TrainerCallback):
        asked = False

        def on_poll(self, run: TrainingRun) -> None:
            if run.phase == "evaluating" and not self.asked:
                self.asked = run.control.should_save = True

    settings = {**EVALUATED, "eval_steps": 2, "eval_dataset": examples(6)}
    straight = make_trainer(callbacks=[SaveInside()], save_total_limit=None, **settings)
    straight.train()
    place = tmp_path / "out/checkpoints/checkpoint-2"
    found = make_trainer(
        callbacks=[], output_dir=tmp_path / "other", **{**settings, "resume_from_checkpoint": str(place)}
    )
    found.train()
    assert evaluations(found) == evaluations(straight)


def test_a_finished_run_that_is_resumed_evaluates_logs_and_saves_nothing_again(
    make_trainer: MakeTrainer, examples: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str], recorder: Any
) -> None:
    settings = {**EVALUATED, "eval_steps": 4, "save_steps": 3, "eval_dataset": examples(6)}
    make_trainer(callbacks=[], **settings).train()
    newest = tmp_path / "out/checkpoints/checkpoint-6"
    written_ns = (newest / "checkpoint.json").stat().st_mtime_ns
    assert metrics_of(newest)["eval_loss"] > 0  # the last evaluation comes before the last save
    again = make_trainer(callbacks=[recorder], resume_from_checkpoint=True, **settings)
    assert again.train()["train_steps"] == 0
    assert recorder.logs == []
    assert [number for number, _ in evaluations(again)] == [4, 6]
    assert (newest / "checkpoint.json").stat().st_mtime_ns == written_ns
    assert "Nothing was left to train: the checkpoint is of step 6, the last one" in capsys.readouterr().out


def test_a_save_at_the_step_of_a_resume_keeps_the_metrics(
    make_trainer: MakeTrainer, examples: Any, tmp_path: Any
) -> None:
    settings = {**EVALUATED, "eval_steps": 2, "eval_dataset": examples(6)}
    paused(make_trainer, PauseAt(2), **settings)
    place = tmp_path / "out/checkpoints/checkpoint-2"
    before = metrics_of(place)
    paused(make_trainer, PauseAt(2), resume_from_checkpoint=True, **settings)
    assert metrics_of(place) == before != {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"save_steps": 5}, r"save_steps \(5\) must be a multiple of eval_steps \(2\) for load_best_model_at_end"),
        (
            {"save_strategy": "epoch"},
            r"save_strategy \('epoch'\) must be that of eval_strategy \('steps'\) for load_b",
        ),
    ],
)
def test_saves_that_miss_evaluations_are_refused_where_the_best_is_to_be_loaded(
    make_trainer: MakeTrainer, examples: Any, change: dict[str, Any], said: str
) -> None:
    best = {"metric_for_best_model": "eval_loss", "greater_is_better": False, "save_steps": 4}
    settings = {**EVALUATED, "eval_steps": 2, "eval_dataset": examples(6), **best}
    make_trainer(load_best_model_at_end=True, **settings)
    make_trainer(**{**settings, **change})
    with pytest.raises(ValueError, match=said):
        make_trainer(load_best_model_at_end=True, **{**settings, **change})
