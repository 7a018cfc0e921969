"""A checkpoint with another learning rate: a run goes on from it with that rate, and the copy says so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc.cli.main import main as fgc
from fgc_runtime.checkpoint.__main__ import main
from fgc_runtime.checkpoint.manifest import verify
from fgc_runtime.trainers import Trainer

MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def checkpoint(make_trainer: MakeTrainer, tmp_path: Path) -> Path:
    trainer = make_trainer(save_strategy="steps", save_steps=3, max_steps=6, lr_scheduler_type="linear")
    trainer.train()
    [found] = (tmp_path / "out/runs").glob("*/checkpoints/checkpoint-3")
    return found


def rates_after(make_trainer: MakeTrainer, recorder: Any, checkpoint: Path, **options: Any) -> list[float]:
    trainer = make_trainer(max_steps=6, lr_scheduler_type="linear", callbacks=[recorder], **options)
    trainer.train(resume_from_checkpoint=str(checkpoint))
    return [record["learning_rate"] for record in recorder.logs if "learning_rate" in record]


def test_a_run_goes_on_with_the_rate_of_the_copy(
    make_trainer: MakeTrainer, recorder_class: Any, checkpoint: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "changed/checkpoint-3"
    assert main([str(checkpoint), str(copy), "--learning-rate", "0.001"]) == 0
    straight = rates_after(make_trainer, recorder_class(), checkpoint)
    changed = rates_after(make_trainer, recorder_class(), copy)
    assert changed[-3:] == pytest.approx([rate / 10 for rate in straight[-3:]])  # 0.01 before
    manifest = verify(copy)
    [change] = manifest["modified"]  # type: ignore[misc]
    assert change["learning_rate"] == {"from": [0.01, 0.01], "to": [0.001, 0.001]}
    assert "modified" not in verify(checkpoint), "the source is as it was"


def test_at_the_rate_of_nought_nothing_is_learnt(
    make_trainer: MakeTrainer, tiny_model: Any, recorder: Any, checkpoint: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "changed/checkpoint-3"
    assert main([str(checkpoint), str(copy), "--learning-rate", "0"]) == 0
    model = tiny_model()
    rates_after(make_trainer, recorder, copy, model=model)
    from safetensors.torch import load_file

    saved = load_file(checkpoint / "model.safetensors")
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in saved.items())


def test_what_cannot_be_changed_is_told(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main([str(checkpoint), str(tmp_path / "file/copy"), "--learning-rate", "1"]) == 2
    assert capsys.readouterr().err == f"fgc checkpoint: {tmp_path}/file/.copy.unfinished: Not a directory\n"
    (checkpoint / "config.json").write_text("{}")
    assert main([str(checkpoint), str(tmp_path / "copy"), "--learning-rate", "1"]) == 2
    assert "is damaged: config.json has 2 bytes" in capsys.readouterr().err
    assert not list(tmp_path.glob("*copy*"))


def test_inspect_reads_every_file_and_components_adds_them_up(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fgc(["checkpoint", "inspect", str(checkpoint), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["is_whole"] and {file["state"] for file in told["files"]} == {"ok"}
    assert fgc(["checkpoint", "components", str(checkpoint), "--format", "json"]) == 0
    parts = {part["name"]: part for part in json.loads(capsys.readouterr().out)}
    size_bytes = sum(path.stat().st_size for path in checkpoint.rglob("*") if path.is_file())
    assert parts["optimizer exp_avg"]["num_elements"] == parts["model files"]["num_elements"]
    assert abs(sum(part["size_bytes"] for part in parts.values()) - size_bytes) < 0.2 * size_bytes
    content = bytearray((checkpoint / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (checkpoint / "model.safetensors").write_bytes(content)
    (checkpoint / "config.json").unlink()
    (checkpoint / "mine.txt").touch()
    assert fgc(["checkpoint", "inspect", str(checkpoint)]) == 1
    printed = capsys.readouterr().out
    assert "another content" in printed and "missing" in printed and "not listed" in printed
    assert printed.endswith("damaged: config.json, model.safetensors\n")
