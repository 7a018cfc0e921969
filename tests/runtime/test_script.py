"""The last line of a generated program: what was asked for is done, and nothing else."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fgc_runtime import settings
from fgc_runtime.script import TrainingScript
from fgc_runtime.trainers import Trainer
from transformers import AutoModelForCausalLM

MakeTrainer = Callable[..., Trainer]


def test_trains_and_saves(make_trainer: MakeTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = make_trainer()
    TrainingScript(trainer=trainer, do_train=True, do_save=True).run()
    assert trainer.state.global_step == 6
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert model.lm_head.weight.equal(trainer.model.lm_head.weight)
    assert capsys.readouterr().out == f"The model is in {tmp_path / 'out'}\n"


def test_does_nothing_that_was_not_asked_for(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    trainer = make_trainer()
    TrainingScript(trainer, do_train=False, do_save=False).run()
    assert trainer.state.global_step == 0
    assert not (tmp_path / "out").exists()


def test_evaluates(
    make_trainer: MakeTrainer, examples: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = make_trainer(eval_dataset=examples(3))
    TrainingScript(trainer, do_train=False, do_save=False, do_eval=True).run()
    assert f"eval loss {trainer.evaluate()['eval_loss']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "first_step"), [(["--resume"], 5), (["--resume", "{}/checkpoint-2", "--other=1"], 3), ([], 1)]
)
def test_resumes_when_the_command_line_says_so(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], first_step: int
) -> None:
    make_trainer(max_steps=4, save_strategy="steps", save_steps=2, lr_scheduler_type="constant").train()
    command_line = ["train.py", *(option.format(tmp_path / "out/checkpoints") for option in options)]
    monkeypatch.setattr(sys, "argv", command_line)
    trainer = make_trainer(lr_scheduler_type="constant")
    TrainingScript(trainer, do_save=False).run()
    assert trainer.callbacks[0].logs[0]["step"] == first_step


def test_the_command_line_names_folder_and_run(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "_chosen", {})
    parser = argparse.ArgumentParser()
    for option in ("--output-dir", "--run-name"):
        parser.add_argument(option, action=settings.TrainingArgument)
    parser.parse_args(["--output-dir", str(tmp_path / "there"), "--run-name", "a/b"])
    trainer = make_trainer()
    TrainingScript(trainer).run()
    assert trainer.output_dir == tmp_path / "there" and (tmp_path / "there/config.json").is_file()
    assert trainer.logging_dir.parent == tmp_path / "there/runs" and trainer.logging_dir.name.startswith("a_b_")
    with pytest.raises(SystemExit):
        parser.parse_args(["--run-name", ""])


def test_keeps_the_configuration_with_the_run(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text("model: tiny")
    (tmp_path / "train.py").touch()
    (tmp_path / "manifest.json").write_text('{"outputs": {"config.yaml": "", "train.py": ""}}')
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "train.py"), raising=False)
    TrainingScript(make_trainer(logging_dir=tmp_path / "logs"), do_save=False).run()
    assert (tmp_path / "logs/config.yaml").read_text() == "model: tiny"
    assert (tmp_path / "logs/manifest.json").exists()
