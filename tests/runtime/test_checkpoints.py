"""Checkpoints are complete or absent, found by step, and hold a model that loads anywhere."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.checkpoint import (
    RandomState,
    find_checkpoints,
    latest_checkpoint,
    publish_model,
    remove_old_checkpoints,
    save_model,
    set_aside,
    written_whole,
)
from fgc_runtime.data import train_bpe_tokenizer
from fgc_runtime.trainers import Trainer
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

MakeTrainer = Callable[..., Trainer]


def make_checkpoints(root: Path, *steps: int) -> None:
    for step in steps:
        with written_whole(root / f"checkpoint-{step}") as folder:
            (folder / "trainer_state.json").write_text("{}")


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


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
    remove_old_checkpoints(tmp_path, limit=2)
    assert names(tmp_path) == []


@pytest.mark.parametrize("fails_at", ["save_model", "save_training_state"])
def test_a_save_that_fails_leaves_the_newest_checkpoint_usable(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails_at: str
) -> None:
    from fgc_runtime import checkpoint

    make_trainer(save_strategy="steps", save_steps=2, max_steps=2).train()
    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr(checkpoint, fails_at, disk_full)
        make_trainer(save_strategy="steps", save_steps=2, max_steps=4, resume_from_checkpoint=True).train()
    assert [path.name for path in find_checkpoints(tmp_path / "out/checkpoints")] == ["checkpoint-2"]
    trainer = make_trainer(save_strategy="steps", save_steps=2, max_steps=4, resume_from_checkpoint=True)
    trainer.train()
    assert names(tmp_path / "out/checkpoints") == ["checkpoint-2", "checkpoint-4"]


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
    remove_old_checkpoints(tmp_path, limit=2)
    assert names(tmp_path) == ["checkpoint-10", "checkpoint-100", "notes"]
    remove_old_checkpoints(tmp_path, limit=None)
    assert names(tmp_path) == ["checkpoint-10", "checkpoint-100", "notes"]


def test_a_run_keeps_as_many_checkpoints_as_it_was_told(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    make_trainer(save_strategy="steps", save_steps=1, save_total_limit=3).train()
    assert names(tmp_path / "out/checkpoints") == ["checkpoint-4", "checkpoint-5", "checkpoint-6"]


def test_a_new_run_moves_the_checkpoints_of_an_earlier_one_aside(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    make_trainer(save_strategy="steps", save_steps=5).train()
    for _ in range(2):
        make_trainer(save_strategy="steps", save_steps=5, max_steps=1).train()
    assert names(tmp_path / "out/checkpoints") == ["checkpoint-1"]
    assert names(tmp_path / "out/checkpoints-1") == ["checkpoint-5", "checkpoint-6"]
    assert names(tmp_path / "out/checkpoints-2") == ["checkpoint-1"]


def test_going_on_from_an_earlier_checkpoint_moves_the_later_ones_aside(
    make_trainer: MakeTrainer, tmp_path: Path
) -> None:
    saving = {"save_strategy": "steps", "save_total_limit": 2}
    make_trainer(save_steps=2, **{**saving, "save_total_limit": None}).train()
    folder = tmp_path / "out/checkpoints"
    make_trainer(save_steps=1, max_steps=3, resume_from_checkpoint=folder / "checkpoint-2", **saving).train()
    assert names(folder) == ["checkpoint-2", "checkpoint-3"]
    assert names(tmp_path / "out/checkpoints-1") == ["checkpoint-4", "checkpoint-6"]


def test_going_on_from_elsewhere_moves_all_aside(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    saving = {"save_strategy": "steps", "save_steps": 2, "max_steps": 4}
    for name in ("one", "two"):
        make_trainer(output_dir=tmp_path / name, **saving).train()
    elsewhere = tmp_path / "one/checkpoints/checkpoint-4"
    make_trainer(output_dir=tmp_path / "two", resume_from_checkpoint=elsewhere, **{**saving, "max_steps": 6}).train()
    assert names(tmp_path / "two/checkpoints") == ["checkpoint-6"]
    assert names(tmp_path / "two/checkpoints-1") == names(tmp_path / "one/checkpoints")


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


def test_state_that_holds_code_is_refused(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> Any:
            return (Path(tmp_path / "ran").touch, ())

    make_trainer(save_strategy="steps", save_steps=6).train()
    torch.save(Malicious(), tmp_path / "out/checkpoints/checkpoint-6/scheduler.pt")
    with pytest.raises(pickle.UnpicklingError):
        make_trainer(resume_from_checkpoint=True).train()
    assert not (tmp_path / "ran").exists()


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
    saving = {"save_strategy": "steps", "save_steps": 3}
    make_trainer(model=package_model, max_steps=3, **saving).train()
    trainer = make_trainer(model=package_model, max_steps=6, resume_from_checkpoint=True, **saving)
    trainer.train()
    folder = trainer.save_model()
    config = json.loads((folder / "config.json").read_text())
    assert config["auto_map"] == {
        "AutoConfig": "configuration_tiny.TinyConfig",
        "AutoModel": "modeling_tiny.TinyModel",
        "AutoModelForCausalLM": "modeling_tiny.TinyForCausalLM",
    }
    for place in (folder, tmp_path / "out/checkpoints/checkpoint-6"):
        assert {"configuration_tiny.py", "modeling_tiny.py"} <= set(names(place))


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
