"""What is trained and measured beside the plain loss: distillation, metrics, early stopping, averaged weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from fgc_runtime.callbacks import EarlyStoppingCallback, TrainerCallback, TrainerState
from fgc_runtime.runs.record import model_of
from fgc_runtime.script import TrainingScript
from fgc_runtime.trainers import (
    DistillationLoss,
    EvalPrediction,
    Terms,
    Trainer,
    TrainingArguments,
    TrainingInterrupted,
    TrainingLoss,
    token_accuracy,
)
from fgc_runtime.trainers.loop.evaluation import note_best
from safetensors.torch import load_file
from torch.nn import functional

MakeTrainer = Callable[..., Trainer]
MakeModel = Callable[..., Any]


class Twice(TrainingLoss):
    """A loss of the user's own."""

    def __call__(self, model: Any, inputs: Any, labels_BT: torch.Tensor) -> Terms:
        return Terms(2 * model(**inputs).logits.sum(), {})


@pytest.mark.parametrize("kind", ["chunked", "auto"])
def test_a_fused_loss_is_refused_with_what_it_does_not_compute(
    make_trainer: MakeTrainer, tiny_model: MakeModel, kind: str
) -> None:
    for loss in (Twice(), DistillationLoss(tiny_model())):
        with pytest.raises(ValueError, match=rf"fused_loss \('{kind}'\) must be 'no' with {type(loss).__name__}"):
            make_trainer(loss=loss, fused_loss=kind)
    with pytest.raises(ValueError, match=r"fused_loss .* must be 'no' with compute_metrics"):
        make_trainer(compute_metrics=token_accuracy, fused_loss=kind)


def test_distillation_is_hintons_formula(make_trainer: MakeTrainer, tiny_model: MakeModel) -> None:
    student, teacher, temperature = tiny_model(seed=1), tiny_model(seed=2), 2.0
    loss = DistillationLoss(lambda: teacher, weight=0.25, temperature=temperature)
    trainer = make_trainer(model=student, loss=loss)
    ids = torch.randint(3, 64, (2, 7), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[0, :3] = -100
    terms = loss(student, {"input_ids": ids}, labels)
    logits, theirs = (model(input_ids=ids).logits for model in (student, teacher))
    expected = torch.zeros(())
    for row in range(2):
        for place in range(6):
            if labels[row, place + 1] != -100:
                p = functional.softmax(theirs[row, place] / temperature, dim=-1)
                q = functional.softmax(logits[row, place] / temperature, dim=-1)
                expected = expected + temperature**2 * (p * (p / q).log()).sum()
    torch.testing.assert_close(terms.others["distillation_loss"], expected, rtol=2e-4, atol=0)  # of float32 sums
    sums = torch.stack([terms.loss_sum, expected])
    torch.testing.assert_close(trainer.strategy.objective.total(sums), 0.75 * sums[0] + 0.25 * sums[1])


def test_a_student_comes_nearer_to_its_teacher(
    make_trainer: MakeTrainer, tiny_model: MakeModel, recorder: Any, examples: Any
) -> None:
    teacher = tiny_model(seed=5)
    before = {name: weight.clone() for name, weight in teacher.state_dict().items()}
    data = examples(6)
    more = {"eval_dataset": data, "eval_strategy": "steps", "eval_steps": 1, "num_train_epochs": 3}
    loss = DistillationLoss(teacher, weight=1.0)
    make_trainer(model=tiny_model(seed=6), loss=loss, train_dataset=data, callbacks=[recorder], **more).train()
    found = [record["eval_distillation_loss"] for record in recorder.logs if "eval_distillation_loss" in record]
    assert found[-1] < 0.9 * found[0]
    assert all("distillation_loss" in record for record in recorder.logs if "loss" in record)
    assert all(weight.equal(before[name]) for name, weight in teacher.state_dict().items())


def test_a_teacher_of_another_vocabulary_is_refused(make_trainer: MakeTrainer, tiny_model: MakeModel) -> None:
    teacher = tiny_model()
    teacher.config.vocab_size = 65
    with pytest.raises(ValueError, match="teacher has a vocabulary of 65, the model one of 64"):
        make_trainer(loss=DistillationLoss(teacher))


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_metrics_are_of_all_predictions_whatever_the_batches(
    make_trainer: MakeTrainer, examples: Any, batch_size: int
) -> None:
    seen: list[EvalPrediction] = []

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        seen.append(prediction)
        return {**token_accuracy(prediction), "eval_rows": len(prediction.label_ids)}

    data = examples(7)
    trainer = make_trainer(eval_dataset=data, compute_metrics=compute, per_device_eval_batch_size=batch_size)
    metrics = trainer.evaluate()
    right, count = 0, 0
    trainer.model.train(False)
    for example in data:
        ids = example["input_ids"]
        likeliest = trainer.model(input_ids=ids[None]).logits[0].argmax(-1)
        right, count = right + int((likeliest[:-1] == ids[1:]).sum()), count + len(ids) - 1
    assert metrics["eval_accuracy"] == right / count and metrics["eval_tokens"] == count
    assert metrics["eval_rows"] == 7
    lengths = (seen[0].label_ids != -100).sum(1)
    assert lengths.tolist() == [len(example["input_ids"]) for example in data]


def test_logits_are_kept_where_a_metric_needs_them(make_trainer: MakeTrainer, examples: Any) -> None:
    def compute(prediction: EvalPrediction) -> dict[str, float]:
        assert prediction.predictions.shape[2] == 64
        return {"mean_logit": float(numpy.mean(prediction.predictions[prediction.label_ids != -100]))}

    trainer = make_trainer(
        eval_dataset=examples(3), compute_metrics=compute, preprocess_logits_for_metrics=lambda logits, labels: logits
    )
    assert "eval_mean_logit" in trainer.evaluate()


def stops(make_trainer: MakeTrainer, examples: Any, losses: list[float], **more: Any) -> Trainer:
    """Trains with an evaluation after each step, whose loss is given."""
    settings: dict[str, Any] = {
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "max_steps": len(losses),
        "lr_scheduler_type": "constant",
        "callbacks": [EarlyStoppingCallback(2, 0.1)],
    }
    trainer = make_trainer(eval_dataset=examples(3), **{**settings, **more})
    real = trainer._evaluate
    trainer._evaluate = lambda leave: {**real(leave), "eval_loss": losses[trainer.state.global_step - 1]}  # type: ignore[method-assign, dict-item]
    return trainer


LOSSES = [3.0, 2.0, 1.95, 1.92, 1.0, 0.5]  # the third and fourth are no better by 0.1


def test_a_run_that_no_longer_improves_ends_with_its_best_model(
    make_trainer: MakeTrainer, examples: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = stops(make_trainer, examples, LOSSES)
    TrainingScript(trainer).run()
    assert trainer.state.global_step == 4
    assert "Stopping at step 4: eval_loss has been no better than 2.0000 for 2 evaluations" in capsys.readouterr().out
    assert trainer.why_ended == "eval_loss no longer improved"


def test_the_best_models_card_and_folder_tell_of_its_own_step(
    make_trainer: MakeTrainer, examples: Any, tmp_path: Path
) -> None:
    trainer = stops(make_trainer, examples, [3.0, 1.0, 2.0], load_best_model_at_end=True, callbacks=[])
    TrainingScript(trainer).run([])
    assert trainer.state.global_step == 3 and trainer.model_step == 2
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "| steps | 2 |" in card and "| eval_loss | 1 |" in card
    assert model_of(tmp_path / "out") == (trainer.logging_dir, 2)


def test_patience_survives_a_resume_and_a_stopped_run_stays_stopped(make_trainer: MakeTrainer, examples: Any) -> None:
    class Pause(TrainerCallback):
        def on_evaluate(self, run: Any, metrics: Any) -> None:
            run.control.should_pause = run.state.global_step == 3

    first = stops(make_trainer, examples, LOSSES, callbacks=[EarlyStoppingCallback(2, 0.1), Pause()])
    with pytest.raises(TrainingInterrupted):
        first.train()
    second = stops(make_trainer, examples, LOSSES, resume_from_checkpoint=True)
    second.train()
    assert (first.state.global_step, second.state.global_step) == (3, 4)
    third = stops(make_trainer, examples, LOSSES, resume_from_checkpoint=True)
    third.train()
    assert third.state.global_step == 4


def test_early_stopping_needs_a_metric(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match="metric_for_best_model \\(None\\) must be given for EarlyStoppingCallback"):
        make_trainer(callbacks=[EarlyStoppingCallback()]).train()


def test_a_metric_that_is_no_number_is_never_the_best(
    make_trainer: MakeTrainer, examples: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    nan = float("nan")
    trainer = stops(make_trainer, examples, [nan, 2.0, 3.0, nan, 1.0], load_best_model_at_end=True)
    trainer.train()
    assert (trainer.state.global_step, trainer.state.best_step, trainer.state.best_metric) == (4, 2, 2.0)
    assert "The model is that of checkpoint-2: eval_loss 2.0" in capsys.readouterr().out
    never = stops(make_trainer, examples, [nan] * 3, load_best_model_at_end=True)
    never.train()
    told = capsys.readouterr()
    assert "Stopping at step 2: eval_loss has been no number for 2 evaluations" in told.out
    assert "warning: no checkpoint has eval_loss to be the best by: the model is the last" in told.err


@pytest.mark.parametrize("name", ["loss", "accuracy", "eval_accuracy"])
def test_a_metric_that_no_evaluation_has_is_refused_at_the_start(
    make_trainer: MakeTrainer, examples: Any, name: str
) -> None:
    best: dict[str, Any] = {"metric_for_best_model": name, "greater_is_better": True, "save_strategy": "steps"}
    best |= {"eval_strategy": "steps", "eval_dataset": examples(2)}
    rule = rf"metric_for_best_model \('{name}'\) must be one of eval_loss, perplexity"
    with pytest.raises(ValueError, match=rule):
        make_trainer(**best)
    if name == "eval_accuracy":
        make_trainer(compute_metrics=token_accuracy, **best)
    else:
        with pytest.raises(ValueError, match=rf"{rule}, or eval_NAME for a NAME of compute_metrics"):
            make_trainer(compute_metrics=token_accuracy, **best)


@pytest.mark.parametrize("name", ["loss", "eval_tokens"])
def test_a_metric_takes_no_other_numbers_name(make_trainer: MakeTrainer, examples: Any, name: str) -> None:
    trainer = make_trainer(eval_dataset=examples(2), compute_metrics=lambda prediction: {name: 0.0})
    with pytest.raises(
        ValueError, match=r"compute_metrics returns eval_(loss|tokens), which an evaluation has already"
    ):
        trainer.evaluate()


class Weights(TrainerCallback):
    """Keeps a weight after each step, and as each evaluation sees it."""

    def __init__(self) -> None:
        self.trained: list[torch.Tensor] = []
        self.evaluated: list[torch.Tensor] = []

    def on_step_end(self, run: Any) -> None:
        self.trained.append(run.model.lm_head.weight.detach().clone())

    def on_evaluate(self, run: Any, metrics: Any) -> None:
        self.evaluated.append(run.model.lm_head.weight.detach().clone())


AVERAGED: dict[str, Any] = {
    "ema_decay": 0.8,
    "max_steps": 5,
    "save_strategy": "steps",
    "save_steps": 2,
    "eval_strategy": "steps",
    "eval_steps": 5,
    "save_total_limit": None,
}


def test_the_average_is_evaluated_and_saved_and_not_trained(
    make_trainer: MakeTrainer, examples: Any, tmp_path: Path
) -> None:
    plain, averaged = Weights(), Weights()
    make_trainer(callbacks=[plain], max_steps=5, output_dir=tmp_path / "plain").train()
    trainer = make_trainer(callbacks=[averaged], eval_dataset=examples(3), **AVERAGED)
    trainer.train()
    average = averaged.trained[0]
    for weight in averaged.trained[1:]:
        average = 0.8 * average + 0.2 * weight
    assert all(one.equal(other) for one, other in zip(plain.trained, averaged.trained, strict=True))
    torch.testing.assert_close(averaged.evaluated[0], average)
    last = trainer.logging_dir / "checkpoints/checkpoint-5"
    for folder in (trainer.save_model(), last):
        torch.testing.assert_close(load_file(folder / "model.safetensors")["lm_head.weight"], average)
    assert trainer.model.lm_head.weight.equal(averaged.trained[-1])


def test_an_averaged_run_goes_on_to_the_bit(make_trainer: MakeTrainer, examples: Any, tmp_path: Path) -> None:
    straight = make_trainer(eval_dataset=examples(3), **AVERAGED)
    straight.train()
    start = straight.logging_dir / "checkpoints/checkpoint-2"
    resumed = make_trainer(
        eval_dataset=examples(3), resume_from_checkpoint=start, output_dir=tmp_path / "resumed", **AVERAGED
    )
    resumed.train()
    one, other = (load_file(trainer.save_model() / "model.safetensors") for trainer in (straight, resumed))
    assert all(one[name].equal(other[name]) for name in one)
    late = make_trainer(
        resume_from_checkpoint=start, resume_anyway=True, max_steps=3, output_dir=tmp_path / "late", ema_decay=0.5
    )
    late.train()
    assert late.state.global_step == 3


def test_of_equally_good_evaluations_the_first_is_the_best() -> None:
    state = TrainerState()
    args = TrainingArguments(eval_strategy="epoch", metric_for_best_model="eval_loss", greater_is_better=False)
    for step, loss in [(10, 2.0), (20, 1.5), (30, 1.5), (40, float("nan")), (50, 1.75)]:
        state.global_step = step
        note_best(state, {"eval_loss": loss}, args)
    assert (state.best_step, state.best_metric) == (20, 1.5)
