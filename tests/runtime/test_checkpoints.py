"""Checkpoints are complete or absent, found by step, and hold a model that loads anywhere."""

import dataclasses
import hashlib
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.callbacks import TrainerCallback, TrainingRun
from fgc_runtime.checkpoint import (
    CheckpointMismatch,
    DamagedCheckpoint,
    RandomState,
    find_checkpoints,
    latest_checkpoint,
    publish_model,
    remove_leftovers,
    remove_old_checkpoints,
    save_model,
    set_aside,
    written_whole,
)
from fgc_runtime.checkpoint.contents import read_contents
from fgc_runtime.checkpoint.tensors import read_all_tensors, save_tensors
from fgc_runtime.data import train_bpe_tokenizer
from fgc_runtime.trainers import ResumeRefused, SaveFailed, Trainer
from safetensors import safe_open
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.storage import WriteResult
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

MakeTrainer = Callable[..., Trainer]


def make_checkpoints(root: Path, *steps: int) -> None:
    for step in steps:
        with written_whole(root / f"checkpoint-{step}") as folder:
            (folder / "trainer_state.json").write_text("{}")


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def names_of_runs(output_dir: Path) -> list[list[str]]:
    """The checkpoints of each run, those of the first run first."""
    return [names(run / "checkpoints") for run in sorted((output_dir / "runs").iterdir(), key=started)]


def started(run: Path) -> tuple[str, int]:
    """Returns when a run began: those of one second are numbered, from 2 on."""
    length = len("train_2026-11-24T13-40-00")
    return run.name[:length], int(run.name[length + 1 :] or 1)


def test_an_interrupted_write_leaves_the_old_folder_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-5"
    with written_whole(folder) as unfinished:
        (unfinished / "weights").write_text("old")
    with pytest.raises(KeyboardInterrupt), written_whole(folder) as unfinished:
        (unfinished / "weights").write_text("half")
        raise KeyboardInterrupt
    assert (folder / "weights").read_text() == "old"
    assert find_checkpoints(tmp_path) == [folder]


def test_an_interrupted_first_write_leaves_nothing_to_be_found(tmp_path: Path) -> None:
    with pytest.raises(OSError), written_whole(tmp_path / "checkpoint-5"):
        raise OSError
    assert find_checkpoints(tmp_path) == []
    remove_leftovers(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("fails_at", ["save_model", "save_training_state"])
def test_a_save_that_fails_leaves_the_newest_checkpoint_usable(
    make_trainer: MakeTrainer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    fails_at: str,
) -> None:
    from fgc_runtime.checkpoint import saver

    saving: dict[str, Any] = {"save_strategy": "steps", "save_steps": 2, "lr_scheduler_type": "constant"}
    make_trainer(max_steps=2, **saving).train()
    with monkeypatch.context() as patch:
        patch.setattr(saver, fails_at, disk_full)
        with pytest.raises(SaveFailed, match=r"checkpoint-4 could not be written: OSError: disk full; the newest .*-2"):
            make_trainer(max_steps=4, resume_from_checkpoint=True, **saving).train()
        assert names(tmp_path / "out/checkpoints") == ["checkpoint-2"]
        make_trainer(max_steps=4, resume_from_checkpoint=True, save_failure="continue", **saving).train()
        assert "training goes on (save_failure 'continue')" in capsys.readouterr().err
    assert names(tmp_path / "out/checkpoints") == ["checkpoint-2"]
    make_trainer(max_steps=4, resume_from_checkpoint=True, **saving).train()
    assert names_of_runs(tmp_path / "out") == [["checkpoint-2"], [], [], ["checkpoint-4"]]


def disk_full(*_: Any, **__: Any) -> None:
    raise OSError("disk full")


def test_the_latest_is_the_highest_step_whatever_the_file_times(tmp_path: Path) -> None:
    make_checkpoints(tmp_path, 900, 1000, 20)
    os.utime(tmp_path / "checkpoint-20", (2e9, 2e9))
    (tmp_path / "checkpoint-best").mkdir()
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-1000"
    assert [path.name for path in find_checkpoints(tmp_path)] == ["checkpoint-20", "checkpoint-900", "checkpoint-1000"]


def test_retention_removes_the_lowest_steps_and_leftovers_only(tmp_path: Path) -> None:
    make_checkpoints(tmp_path, 5, 10, 100)
    (tmp_path / "checkpoint-200.unfinished").mkdir()
    (tmp_path / "notes").mkdir()
    remove_old_checkpoints(find_checkpoints(tmp_path), limit=2)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["checkpoint-10", "checkpoint-100", "notes"]
    remove_old_checkpoints(find_checkpoints(tmp_path), limit=None)
    assert names(tmp_path) == ["checkpoint-10", "checkpoint-100", "notes"]


def test_a_run_keeps_as_many_checkpoints_as_it_was_told(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    make_trainer(save_strategy="steps", save_steps=1, save_total_limit=3).train()
    assert names(tmp_path / "out/checkpoints") == ["checkpoint-4", "checkpoint-5", "checkpoint-6"]


def test_setting_nothing_aside(tmp_path: Path) -> None:
    make_checkpoints(tmp_path / "checkpoints", 3)
    assert set_aside(tmp_path / "checkpoints", after_step=3) is None
    assert set_aside(tmp_path / "nowhere", after_step=-1) is None


def test_tied_weights_are_stored_once_and_load_tied(tiny_model: Callable[..., Any], tmp_path: Path) -> None:
    model = tiny_model(is_tied=True)
    save_model(model, None, tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert {"lm_head.weight", "model.embed_tokens.weight"} & set(file.keys()) == {"model.embed_tokens.weight"}
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)


def test_tied_weights_resume(make_trainer: MakeTrainer, tiny_model: Callable[..., Any], recorder_class: Any) -> None:
    straight, after = recorder_class(), recorder_class()
    saving = {"save_strategy": "steps", "save_steps": 3, "save_total_limit": None}
    make_trainer(model=tiny_model(is_tied=True), callbacks=[straight], **saving).train()
    folder = make_trainer().output_dir / "checkpoints/checkpoint-3"
    trainer = make_trainer(model=tiny_model(is_tied=True), callbacks=[after], resume_from_checkpoint=folder)
    trainer.train()
    assert after.losses == straight.losses[3:]
    assert trainer.model.lm_head.weight is trainer.model.model.embed_tokens.weight


def test_random_states_come_back_from_disk(tmp_path: Path) -> None:
    import random

    import numpy

    def draw() -> tuple[float, float, float]:
        return random.random(), float(numpy.random.normal()), float(torch.rand(1))

    draw()
    state = RandomState.capture()
    torch.save([state.python, state.numpy, state.torch, state.cuda], tmp_path / "states.pt")
    expected = [draw(), draw()]
    RandomState(*torch.load(tmp_path / "states.pt", weights_only=True)).restore()
    assert [draw(), draw()] == expected


def _with_new_hashes(folder: Path) -> str:
    manifest = json.loads((folder / "checkpoint.json").read_text())
    for name, written in manifest["files"].items():
        content = (folder / name).read_bytes()
        written.update(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    return json.dumps(manifest)


class Malicious:
    """Touches `ran` in the working folder when it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path("ran").touch, ())


def dotted_global(command: str) -> bytes:
    """A pickle that reaches `os.system` through a module whose classes a checkpoint may name."""

    def word(text: str) -> bytes:
        return pickle.SHORT_BINUNICODE + bytes([len(text)]) + text.encode()

    call = word("torch.distributed.checkpoint.metadata") + word("os.system") + pickle.STACK_GLOBAL
    return pickle.PROTO + b"\x04" + call + word(command) + pickle.TUPLE1 + pickle.REDUCE + pickle.STOP


def test_state_that_holds_code_is_refused(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_trainer(save_strategy="steps", save_steps=6).train()
    folder = tmp_path / "out/checkpoints/checkpoint-6"
    torch.save(Malicious(), folder / "training_state.pt")
    (folder / "checkpoint.json").write_text(_with_new_hashes(folder))  # whoever can write the one can write the other
    with pytest.raises(DamagedCheckpoint, match="code"):
        make_trainer(resume_from_checkpoint=True).train()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("attack", [pickle.dumps(Malicious()), dotted_global("touch ran")], ids=["plain", "dotted"])
def test_the_table_of_contents_that_torch_would_unpickle_is_not_read(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    make_trainer(save_strategy="steps", save_steps=3).train()
    folder = tmp_path / "out/checkpoints/checkpoint-6"
    (folder / "state/.metadata").write_bytes(attack)
    (folder / "checkpoint.json").write_text(_with_new_hashes(folder))
    make_trainer(resume_from_checkpoint=True).train()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("file", "../../../../elsewhere.distcp"),
        ("file", "/etc/passwd"),
        ("file", "../model.safetensors"),
        ("file", "optimizer.safetensors"),
        ("file", 3),
        ("start_bytes", -1),
        ("size_bytes", True),
        ("size_bytes", 1e9),
        ("shape", ["a"]),
        ("offsets", None),
        ("offsets", [10**30]),
    ],
)
def test_a_table_of_contents_that_is_not_one_is_damage(tmp_path: Path, field: str, value: object) -> None:
    part = {"offsets": [0], "shape": [4], "file": "__0_0.distcp", "start_bytes": 0, "size_bytes": 16}

    def write(part: dict[str, object]) -> None:
        tensor = {"dtype": "float32", "shape": [4], "parts": [part]}
        (tmp_path / "tensors.json").write_text(json.dumps({"format": 1, "tensors": {"a": tensor}}))

    for file in ("__0_0.distcp", "model.safetensors", "model-00001-of-00002.safetensors"):
        write({**part, "file": file})
        assert list(read_contents(tmp_path).state_dict_metadata) == ["a"]
    write({**part, field: value})
    with pytest.raises(DamagedCheckpoint, match=r"tensors\.json is damaged"):
        read_contents(tmp_path)


@pytest.fixture
def tokenizer(tmp_path: Path) -> PreTrainedTokenizerFast:
    return train_bpe_tokenizer(["def f(x):\n    return x\n"] * 4, vocab_size=300, cache_dir=tmp_path / "cache")


def test_the_output_folder_is_a_model_folder(
    make_trainer: MakeTrainer, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    trainer = make_trainer(processing_class=tokenizer, save_strategy="steps", save_steps=6)
    trainer.train()
    for folder in (trainer.save_model(), tmp_path / "out/checkpoints/checkpoint-6"):
        model = AutoModelForCausalLM.from_pretrained(folder)
        for name, tensor in trainer.model.state_dict().items():
            assert torch.equal(tensor, model.state_dict()[name])
        loaded = AutoTokenizer.from_pretrained(folder)
        assert loaded("return x")["input_ids"] == tokenizer("return x")["input_ids"]
        assert model.generation_config.eos_token_id == loaded.eos_token_id == tokenizer.eos_token_id
        assert json.loads((folder / "config.json").read_text())["bos_token_id"] == tokenizer.bos_token_id


def test_publishing_replaces_weights_and_touches_nothing_else(tiny_model: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("model-00001-of-00002.safetensors", "model.safetensors.index.json", "notes.txt"):
        (tmp_path / name).write_text("{}")
    publish_model(tiny_model(), None, tmp_path)
    assert names(tmp_path) == ["config.json", "generation_config.json", "model.safetensors", "notes.txt"]


MODEL_PACKAGE = {
    "configuration_tiny.py": """
from transformers import LlamaConfig


class TinyConfig(LlamaConfig):
    model_type = "tiny"
""",
    "modeling_tiny.py": """
from transformers import LlamaForCausalLM, LlamaModel

from .configuration_tiny import TinyConfig


class TinyModel(LlamaModel):
    config_class = TinyConfig


class TinyForCausalLM(LlamaForCausalLM):
    config_class = TinyConfig

    def __init__(self, config):
        super().__init__(config)
        self.model = TinyModel(config)
        self.post_init()
""",
    "__init__.py": "",
}


@pytest.fixture
def package_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model whose code lies in a package beside the program, as that of a build does."""
    package = tmp_path / "program/tiny_package"
    package.mkdir(parents=True)
    for name, text in MODEL_PACKAGE.items():
        (package / name).write_text(text)
    monkeypatch.syspath_prepend(str(package.parent))
    from tiny_package.configuration_tiny import TinyConfig
    from tiny_package.modeling_tiny import TinyForCausalLM

    size = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    yield TinyForCausalLM(TinyConfig(**size, num_attention_heads=2, max_position_embeddings=64))
    for name in [name for name in sys.modules if name.startswith("tiny_package")]:
        del sys.modules[name]


def test_a_model_with_its_own_code_brings_it_along(
    make_trainer: MakeTrainer, package_model: Any, tmp_path: Path
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 3, "lr_scheduler_type": "constant"}
    make_trainer(model=package_model, max_steps=3, **saving).train()
    trainer = make_trainer(model=package_model, max_steps=6, resume_from_checkpoint=True, **saving)
    trainer.train()
    written = Path(sys.modules[type(package_model).__module__].__file__ or "")
    code = written.read_text()
    written.write_text("raise SystemExit('edited')\n")  # as a rebuild does
    written.with_name("configuration_tiny.py").unlink()
    folder = trainer.save_model()
    config = json.loads((folder / "config.json").read_text())
    assert config["auto_map"] == {
        "AutoConfig": "configuration_tiny.TinyConfig",
        "AutoModel": "modeling_tiny.TinyModel",
        "AutoModelForCausalLM": "modeling_tiny.TinyForCausalLM",
    }
    for place in (folder, tmp_path / "out/checkpoints/checkpoint-6"):
        assert {"configuration_tiny.py", "modeling_tiny.py"} <= set(names(place))
        assert (place / "modeling_tiny.py").read_text() == code


@pytest.mark.slow
def test_that_model_loads_where_its_package_is_unknown(
    make_trainer: MakeTrainer, package_model: Any, tmp_path: Path
) -> None:
    trainer = make_trainer(model=package_model)
    folder = trainer.save_model()
    inputs = torch.arange(3, 13)[None]
    expected = package_model.eval()(inputs).logits.sum().item()
    program = (
        "import sys, torch\n"
        "from transformers import AutoModel, AutoModelForCausalLM\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=True)\n"
        "assert type(model).__name__ == 'TinyForCausalLM'\n"
        "assert type(AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)).__name__ == 'TinyModel'\n"
        "print(model(torch.arange(3, 13)[None]).logits.sum().item())\n"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", program, folder],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(expected, rel=1e-5)


def best_of(make_trainer: MakeTrainer, eval_dataset: Any, losses: list[float], **more: Any) -> Trainer:
    """A run whose evaluations give the losses, one each step."""
    settings: dict[str, Any] = {
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "save_total_limit": 1,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "max_steps": len(losses),
        "lr_scheduler_type": "constant",
    }
    trainer = make_trainer(eval_dataset=eval_dataset, **{**settings, **more})
    real = trainer._evaluate

    def evaluate(should_leave: Any) -> Any:
        return {**real(should_leave), "eval_loss": losses[trainer.state.global_step - 1]}

    trainer._evaluate = evaluate
    trainer.train()
    return trainer


@pytest.mark.parametrize(
    ("losses", "more", "kept"),
    [
        ([3.0, 1.0, 2.0, 4.0], {}, [2, 4]),
        ([3.0, 1.0, 2.0, 4.0], {"save_best_limit": 2}, [2, 3, 4]),
        ([3.0, 1.0, 2.0, 4.0], {"greater_is_better": True}, [4]),
        ([1.0, 2.0, 3.0], {"save_total_limit": 2}, [1, 2, 3]),
        ([2.0, 1.0, 1.0], {"save_total_limit": None}, [1, 2, 3]),
    ],
)
def test_the_best_checkpoints_are_never_removed(
    make_trainer: MakeTrainer, examples: Any, losses: list[float], more: dict[str, Any], kept: list[int]
) -> None:
    trainer = best_of(make_trainer, examples(3), losses, **more)
    assert names(trainer.output_dir / "checkpoints") == [f"checkpoint-{step}" for step in kept]


def test_the_best_is_remembered_over_a_break(make_trainer: MakeTrainer, examples: Any) -> None:
    best_of(make_trainer, examples(3), [3.0, 1.0])
    trainer = best_of(make_trainer, examples(3), [9.0, 9.0, 2.0, 4.0], resume_from_checkpoint=True)
    assert (trainer.state.best_metric, trainer.state.best_step) == (1.0, 2)
    assert names_of_runs(trainer.output_dir) == [["checkpoint-2"], ["checkpoint-4"]]


def test_the_best_model_is_the_final_one_where_that_is_wanted(make_trainer: MakeTrainer, examples: Any) -> None:
    trainer = best_of(make_trainer, examples(3), [3.0, 1.0, 2.0], load_best_model_at_end=True)
    best = AutoModelForCausalLM.from_pretrained(trainer.output_dir / "checkpoints/checkpoint-2")
    assert torch.equal(trainer.model.lm_head.weight, best.lm_head.weight)


def test_a_metric_must_say_which_way_is_better(make_trainer: MakeTrainer, examples: Any) -> None:
    with pytest.raises(ValueError, match="greater_is_better \\(None\\) must be true or false where metric_for_best"):
        best_of(make_trainer, examples(3), [1.0], greater_is_better=None)
    with pytest.raises(ValueError, match="metric_for_best_model \\('eval_los'\\) must be one of eval_loss, perplexity"):
        best_of(make_trainer, examples(3), [1.0], metric_for_best_model="eval_los")


def test_training_goes_on_while_a_checkpoint_is_written(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fgc_runtime.checkpoint import saver

    weights: list[torch.Tensor] = []
    steps_meanwhile: list[int] = []

    class SaveFirst(TrainerCallback):
        def on_step_end(self, run: TrainingRun) -> None:
            if run.state.global_step == 1:
                weights.append(run.model.lm_head.weight.detach().clone())
                run.control.should_save = True

        def on_save(self, run: TrainingRun, folder: Path) -> None:
            steps_meanwhile.append(run.state.global_step - 1)

    def slow(*arguments: Any, **options: Any) -> None:
        time.sleep(0.3)
        save_model(*arguments, **options)

    monkeypatch.setattr(saver, "save_model", slow)
    trainer = make_trainer(callbacks=[SaveFirst()], max_steps=60)
    trainer.train()
    assert steps_meanwhile[0] > 3, "steps of 5 ms while a save takes 300"
    saved = AutoModelForCausalLM.from_pretrained(trainer.output_dir / "checkpoints/checkpoint-1")
    assert torch.equal(saved.lm_head.weight, weights[0]), "the moment of the save, not what came later"


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    trainer = make_trainer(output_dir=tmp_path / "file/out", save_strategy="steps")
    with pytest.raises(OSError, match=r"output_dir \('.*file/out'\) cannot be written: .*Not a directory"):
        trainer.train()
    assert trainer.state.global_step == 0


def test_another_optimizer_does_not_take_the_state(make_trainer: MakeTrainer) -> None:
    from torch.optim import SGD

    make_trainer(save_strategy="steps", max_steps=2).train()
    other = {"optimizer_factory": partial(SGD, lr=0.1, momentum=0.9), "resume_from_checkpoint": True, "max_steps": 2}
    with pytest.raises(ResumeRefused, match=r"optimizer\.class was AdamW and is SGD"):
        make_trainer(**other).train()
    with pytest.raises(CheckpointMismatch, match=r"is of another model or optimizer: .*momentum_buffer"):
        make_trainer(resume_anyway=True, **other).train()


def test_the_table_of_contents_is_ours_though_torch_completes_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = FileSystemWriter.finish

    def finish_a_copy(self: FileSystemWriter, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        finish(self, dataclasses.replace(metadata), results)  # as torch 2.9 does

    monkeypatch.setattr(FileSystemWriter, "finish", finish_a_copy)
    save_tensors(tmp_path, {"model.a": torch.arange(3.0)}, None)
    assert read_all_tensors(tmp_path)["model.a"].tolist() == [0.0, 1.0, 2.0]
