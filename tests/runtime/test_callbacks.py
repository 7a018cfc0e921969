"""What callbacks write, and that watching a run changes nothing about it."""

import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.callbacks import (
    JsonLogCallback,
    ProgressCallback,
    TensorBoardCallback,
    TextSampleCallback,
    TrainerCallback,
    TrainingRun,
)
from fgc_runtime.data import train_bpe_tokenizer
from fgc_runtime.trainers import Trainer

MakeTrainer = Callable[..., Trainer]


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "trainer_logs.json").read_text().splitlines()]


def test_a_record_is_on_disk_as_soon_as_it_is_logged(make_trainer: MakeTrainer, tmp_path: Path, recorder: Any) -> None:
    lengths = []

    class Look(type(recorder)):  # type: ignore[misc]
        def on_log(self, run: Any, logs: Any) -> None:
            lengths.append(len(records(tmp_path / "logs")))

    make_trainer(callbacks=[JsonLogCallback(), Look()], logging_dir=tmp_path / "logs").train()
    assert lengths == [2, 3, 4, 5, 6, 7, 8]


def test_records_say_when_where_and_what(make_trainer: MakeTrainer, examples: Any, tmp_path: Path) -> None:
    make_trainer(
        callbacks=[JsonLogCallback()],
        logging_dir=tmp_path,
        logging_steps=3,
        eval_dataset=examples(3),
        eval_strategy="epoch",
    ).train()
    header, first, second, evaluation, totals = records(tmp_path)
    assert header["event"] == "train_begin"
    assert header["num_parameters"] > 0
    assert header["versions"]["torch"] == torch.__version__
    assert set(first) == {
        "timestamp", "global_step", "epoch", "num_tokens", "loss", "tokens_per_second", "grad_norm", "learning_rate",
    }  # fmt: skip
    assert (first["global_step"], second["global_step"]) == (3, 6)
    assert evaluation["perplexity"] == pytest.approx(math.exp(evaluation["eval_loss"]))
    assert totals["train_steps"] == 6


def test_an_existing_log_is_continued(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    for _ in range(2):
        make_trainer(callbacks=[JsonLogCallback()], logging_dir=tmp_path, max_steps=1).train()
    assert [record.get("event") for record in records(tmp_path)] == ["train_begin", None, None] * 2


def test_a_full_disk_does_not_end_a_training(
    make_trainer: MakeTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str], recorder: Any
) -> None:
    log = tmp_path / "trainer_logs.json"
    log.symlink_to("/dev/full")

    class MakeRoom(type(recorder)):  # type: ignore[misc]
        def on_step_end(self, run: Any) -> None:
            if run.state.global_step == 3:
                callback._file.close()
                log.unlink()
                callback._file = log.open("ab", buffering=0)

    callback = JsonLogCallback()
    make_trainer(callbacks=[MakeRoom(), callback], logging_dir=tmp_path).train()
    assert capsys.readouterr().err.count("the disk is full (No space left on device): log records wait in memory") == 1
    steps = [record.get("global_step") for record in records(tmp_path)]
    assert steps == [0, 1, 2, 3, 4, 5, 6, 6]


def test_tensorboard_gets_every_number_zeros_included(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    make_trainer(callbacks=[TensorBoardCallback()], logging_dir=tmp_path, learning_rate=0.0).train()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [scalar.value for scalar in events.Scalars("train/learning_rate")] == [0.0] * 6
    assert [scalar.step for scalar in events.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
    assert "total/steps_per_second" in events.Tags()["scalars"]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_samples_are_printed_kept_and_change_nothing(
    make_trainer: MakeTrainer,
    examples: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    recorder_class: Any,
    temperature: float,
) -> None:
    from functools import partial

    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = train_bpe_tokenizer(["return x\n"] * 9, vocab_size=270, cache_dir=tmp_path / "cache")
    size = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = partial(LlamaForCausalLM, LlamaConfig(vocab_size=len(tokenizer), attention_dropout=0.2, **size))
    sampling = TextSampleCallback(["return", "x"], max_new_tokens=5, temperature=temperature)
    losses = []
    for extra in ([], [sampling]):
        recorder = recorder_class()
        make_trainer(
            model=model,
            callbacks=[recorder, *extra],
            eval_dataset=examples(3),
            eval_strategy="steps",
            eval_steps=2,
            processing_class=tokenizer,
            logging_dir=tmp_path / "logs",
        ).train()
        losses.append(recorder.losses)
    assert losses[0] == losses[1]
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "logs/samples.txt").read_text()
    assert printed.count("--- step 2: return") == printed.count("--- step 6: x") == 1


def test_samples_need_a_tokenizer(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ValueError, match="needs the trainer's processing_class"):
        make_trainer(callbacks=[TextSampleCallback(["x"])]).train()
    with pytest.raises(ValueError, match="prompts must contain at least one text"):
        TextSampleCallback([])


def test_progress_prints_a_line_per_log_where_there_is_no_terminal(
    make_trainer: MakeTrainer, examples: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_trainer(
        callbacks=[ProgressCallback()], logging_steps=3, eval_dataset=examples(2), eval_strategy="epoch"
    ).train()
    headline, first, second, evaluation, totals = capsys.readouterr().out.splitlines()
    assert headline.startswith("Training 24,736 parameters for 6 steps, logs in ")
    assert first.startswith("step 3/6  epoch 0.50  loss ")
    assert " tokens/s " in first
    assert first.endswith(" left")
    assert second.startswith("step 6/6  epoch 1.00  loss ")
    assert "eval loss" in evaluation
    assert "trained for " in totals


def test_progress_draws_a_bar_on_a_terminal(make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]) -> None:
    make_trainer(callbacks=[ProgressCallback(use_bar=True)]).train()
    assert "6/6" in capsys.readouterr().out


def test_a_narrow_bar_keeps_step_and_time_and_each_loss_is_a_line(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Many(TrainerCallback):
        def on_record(self, run: TrainingRun, record: dict[str, float]) -> None:
            record.update({f"metric_number_{number}": 0.123456 for number in range(30)})

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    make_trainer(callbacks=[Many(), ProgressCallback(use_bar=True)], logging_steps=2).train()
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out).replace("\r", "\n").splitlines()
    bar = [line for line in shown if line.startswith("6/6 ")][-1]
    assert re.match(r"6/6 \d:\d\d:\d\d loss \d\.\d{4} ", bar)
    assert len(bar) <= 80
    assert [line[:9] for line in shown if " loss " in line and line.startswith("step")] == [
        "step 2/6 ",
        "step 4/6 ",
        "step 6/6 ",
    ]


def test_without_callbacks_there_is_progress_and_a_log(
    make_trainer: MakeTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_trainer(callbacks=None).train()
    assert "step 6/6" in capsys.readouterr().out
    [log] = (tmp_path / "out/runs").glob("train_*/trainer_logs.json")
    assert len(log.read_text().splitlines()) == 8


def test_a_training_goes_on_where_tensorboard_is_not_installed(
    make_trainer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    make_trainer(callbacks=[TensorBoardCallback()], logging_dir=tmp_path, max_steps=1).train()
    assert "TensorBoard is not installed" in "".join(capsys.readouterr())
