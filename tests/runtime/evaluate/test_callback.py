"""Tasks every N steps of a training, which computes what it would compute without them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.callbacks import TaskEvaluationCallback
from fgc_runtime.trainers import Trainer

from tests.runtime.serve.conftest import make_model, make_tokenizer

MakeTrainer = Callable[..., Trainer]


def test_tasks_are_evaluated_every_n_steps_and_change_nothing(
    make_trainer: MakeTrainer,
    recorder_class: Any,
    task_folder: Path,
    tmp_path: Path,
) -> None:
    padded = make_tokenizer()
    padded.pad_token = "<|im_end|>"

    def weights(*callbacks: Any) -> dict[str, torch.Tensor]:
        model = make_model(len(padded))
        model.config.attention_dropout = 0.1
        options = {"processing_class": padded, "logging_dir": tmp_path, "seed": 3}
        make_trainer(model=model, callbacks=list(callbacks), **options).train()
        return model.state_dict()

    recorder = recorder_class()
    tasks = TaskEvaluationCallback(["animals", "writes"], eval_steps=2, task_folders=[str(task_folder)])
    watched, alone = weights(tasks, recorder), weights()
    assert all(torch.equal(watched[name], alone[name]) for name in alone)
    logged = [record["step"] for record in recorder.logs if "animals/acc" in record and "writes/exact_match" in record]
    assert logged == [2, 4, 6]
    files = sorted((tmp_path / "evaluations").glob("*.json"))
    assert sorted(json.loads(file.read_text(encoding="utf-8"))["step"] for file in files) == [2, 4, 6]


def test_a_run_without_what_tasks_need_is_refused_at_the_start(make_trainer: MakeTrainer, task_folder: Path) -> None:
    with pytest.raises(ValueError, match="tasks must name at least one"):
        TaskEvaluationCallback([])
    with pytest.raises(ValueError, match=r"eval_steps \(0\)"):
        TaskEvaluationCallback(["animals"], eval_steps=0)
    with pytest.raises(ValueError, match="processing_class"):
        make_trainer(callbacks=[TaskEvaluationCallback(["animals"], task_folders=[str(task_folder)])]).train()
