"""The measured defects T1 to T20 of the system that fgc replaces, each as a test that it would fail.

| defect | there | here |
|---|---|---|
| T1 | training without evaluation data raises TypeError | trains |
| T2 | with `max_eval_steps`, the loss is divided by one batch too many | by what was evaluated |
| T3 | gradient accumulation divides the evaluation's loss | changes nothing |
| T4 | `evaluate` after `train` replaces the trained model by a new one | leaves it alone |
| T5 | an empty epoch loops for ever | ValueError |
| T6 | evaluation averages batch means; no batches: NameError | counts tokens; ValueError |
| T7 | a pass with accumulation 5 is epoch 0.19 | epoch 1 |
| T8 | `max_steps=1`: speeds are NaN, 0 samples | finite, all of them |
| T9 | a checkpoint holds the step alone | all counters |
| T10 | python and numpy are neither seeded nor saved | both |
| T11 | the best checkpoint is rotated away | `test_checkpoints.py` |
| T12 | loggers of gradients find none | complete and clipped |
| T13 | each hook of the fused optimizer steps all parameters | its own |
| T14 | gradients of a broken-off accumulation leak into the next epoch | a short step of its own |
| T15 | `torch_compile_mode` None changes the backend | passes both on |
| T16 | errors when state is loaded are swallowed | end the run |
| T17 | data without a length raises TypeError | trains with `max_steps` |
| T18 | accelerate: divided twice, exchanged in each micro-batch, rate times processes | none of these |
| T19 | an optional package is needed to import any trainer | none is |
| T20 | needs Python 3.12 | runs on 3.11 |
"""

import ast
import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fgc_runtime
import numpy
import pytest
import torch
from fgc_runtime.callbacks import TrainerCallback, TrainingRun
from fgc_runtime.trainers import Accelerate, Trainer
from torch.optim import SGD
from torch.utils.data import IterableDataset

MakeTrainer = Callable[..., Trainer]
Examples = Callable[..., list[Any]]


class Stream(IterableDataset[Any]):
    """Examples without a length."""

    def __init__(self, examples: list[Any]) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[Any]:
        return iter(self.examples)


def test_t1_no_evaluation_data(make_trainer: MakeTrainer) -> None:
    assert make_trainer(eval_dataset=None).train()["train_steps"] == 6


def test_t2_max_eval_steps_divides_by_what_was_evaluated(make_trainer: MakeTrainer, examples: Examples) -> None:
    data = examples(12, seed=5)
    cut = make_trainer(eval_dataset=data, per_device_eval_batch_size=2, max_eval_steps=3).evaluate()
    whole = make_trainer(eval_dataset=data[:6], per_device_eval_batch_size=2).evaluate()
    assert cut == whole


def test_t3_accumulation_does_not_scale_the_evaluation(make_trainer: MakeTrainer, examples: Examples) -> None:
    data = examples(5, seed=5)
    losses = [
        make_trainer(eval_dataset=data, gradient_accumulation_steps=steps).evaluate()["eval_loss"] for steps in (1, 4)
    ]
    assert losses[0] == losses[1]


def test_t4_evaluate_makes_no_new_model(make_trainer: MakeTrainer, examples: Examples, tiny_model: Any) -> None:
    made = []

    def model() -> Any:
        made.append(tiny_model())
        return made[-1]

    trainer = make_trainer(model=model, eval_dataset=examples(5))
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after = trainer.evaluate()["eval_loss"]
    assert len(made) == 1 and trainer.model is made[0]
    assert after < before and trainer.evaluate()["eval_loss"] == after


def test_t5_an_empty_epoch_is_an_error(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match="empty"):
        make_trainer(train_dataset=Stream([]), max_steps=2).train()


def test_t6_evaluation_counts_tokens(make_trainer: MakeTrainer, examples: Examples) -> None:
    data = examples(9, seed=5)
    losses = [
        make_trainer(eval_dataset=data, per_device_eval_batch_size=size).evaluate()["eval_loss"] for size in (1, 2, 9)
    ]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)
    with pytest.raises(ValueError, match="no label tokens"):
        make_trainer(eval_dataset=Stream([])).evaluate()


def test_t7_an_epoch_is_a_pass_over_the_data(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(per_device_train_batch_size=1, gradient_accumulation_steps=5)
    trainer.train()
    assert trainer.state.epochs_done == 1
    assert trainer.state.global_step == math.ceil(24 / 5)


def test_t8_one_step_has_finite_speeds(make_trainer: MakeTrainer) -> None:
    totals = make_trainer(max_steps=1).train()
    assert totals["train_examples"] == 4
    assert all(math.isfinite(value) and value > 0 for value in totals.values())


def test_t9_and_t16_a_checkpoint_holds_all_counters_and_errors_are_not_swallowed(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    first = make_trainer(save_strategy="steps", save_steps=3, max_steps=3)
    first.train()
    resumed = make_trainer(max_steps=3)
    resumed.train(resume_from_checkpoint=tmp_path / "out/checkpoints/checkpoint-3")
    for name in ("global_step", "num_micro_batches", "num_examples", "num_tokens", "epoch", "examples_in_epoch"):
        assert getattr(resumed.state, name) == getattr(first.state, name)
    for path in (tmp_path / "out/checkpoints/checkpoint-3").rglob("*"):
        if path.is_file() and path.suffix not in (".json", ".txt"):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Exception, match=r"\S"):
        make_trainer(max_steps=3).train(resume_from_checkpoint=tmp_path / "out/checkpoints/checkpoint-3")


def test_t10_python_and_numpy_are_seeded(make_trainer: MakeTrainer) -> None:
    drawn = []
    for _ in range(2):
        make_trainer(seed=3)
        drawn.append((random.random(), numpy.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]


def test_t12_gradients_are_there_before_the_step(make_trainer: MakeTrainer) -> None:
    norms = []

    class Gradients(TrainerCallback):
        def on_pre_optimizer_step(self, run: TrainingRun) -> None:
            norms.append(torch.nn.utils.get_total_norm([p.grad for p in run.model.parameters() if p.grad is not None]))

    make_trainer(callbacks=[Gradients()], max_steps=2).train()
    assert len(norms) == 2 and all(norm > 0 for norm in norms)


def test_t13_a_parameter_is_stepped_once_per_step(make_trainer: MakeTrainer) -> None:
    stepped = []

    class Counting(SGD):
        def step(self, closure: Any = None) -> None:
            stepped.append(sum(len(group["params"]) for group in self.param_groups))
            super().step(closure)

    trainer = make_trainer(
        optimizer_factory=partial(Counting, lr=0.1), optimizer_in_backward=True, max_grad_norm=None, max_steps=1
    )
    trainer.train()
    assert stepped == [1] * len(list(trainer.model.parameters()))


def test_t14_a_short_accumulation_leaks_nothing(make_trainer: MakeTrainer, examples: Examples) -> None:
    trainer = make_trainer(
        train_dataset=examples(5), per_device_train_batch_size=1, gradient_accumulation_steps=3, num_train_epochs=2
    )
    trainer.train()
    assert (trainer.state.global_step, trainer.state.num_micro_batches) == (4, 10)
    assert all(parameter.grad is None for parameter in trainer.model.parameters())


def test_t15_backend_and_mode_are_passed_on_as_they_are(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: given.append(options))
    make_trainer(torch_compile=True)
    make_trainer(torch_compile=True, torch_compile_backend="eager", torch_compile_mode="max-autotune")
    assert given == [{"backend": "inductor", "mode": None}, {"backend": "eager", "mode": "max-autotune"}]


def test_t17_data_without_a_length(make_trainer: MakeTrainer, examples: Examples) -> None:
    trainer = make_trainer(train_dataset=Stream(examples(9)), max_steps=4)
    assert trainer.train()["train_steps"] == 4
    with pytest.raises(ValueError, match="max_steps"):
        make_trainer(train_dataset=Stream(examples(9))).train()


def test_t18_accelerate_divides_once_and_leaves_the_rate_alone(make_trainer: MakeTrainer) -> None:
    given = {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2, "lr_scheduler_type": "linear"}
    plain, accelerated = make_trainer(**given), make_trainer(strategy=Accelerate(), **given)
    for trainer in (plain, accelerated):
        trainer.train()
    for name in ("loss", "grad_norm", "learning_rate"):
        theirs, ours = (
            [record[name] for record in trainer.callbacks[0].logs if name in record] for trainer in (plain, accelerated)
        )
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_t19_no_optional_package_is_imported_with_the_trainers() -> None:
    optional = ("aiohttp", "tensorboard", "accelerate", "liger_kernel", "cut_cross_entropy", "starlette")
    program = (
        f"import sys\nfor name in {optional}: sys.modules[name] = None\nimport fgc_runtime.trainers, fgc_runtime.script"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_t20_nothing_of_python_3_12_is_used() -> None:
    for path in Path(fgc_runtime.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=(3, 11))
        names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
        assert "override" not in names, path
