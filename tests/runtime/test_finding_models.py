"""Which folder holds the model, and what is said when none does."""

from pathlib import Path

import pytest
from fgc_runtime.models.finding import FolderError, find_model, newest_checkpoint


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_an_ordinary_model_folder_is_all_in_one(tmp_path: Path) -> None:
    folder = make(tmp_path / "m", "config.json", "model.safetensors", "tokenizer.json")
    model = find_model(folder)
    assert (model.name, {model.config, model.weights, model.tokenizer}) == ("m", {folder})


def test_the_newest_checkpoint_is_the_highest_step_with_weights(tmp_path: Path) -> None:
    make(tmp_path, "checkpoints/checkpoint-1000/model.safetensors", "checkpoints/checkpoint-200/model.safetensors")
    make(tmp_path, "checkpoints/checkpoint-3000/optimizer.pt", "checkpoints/checkpoint-4000.tmp/model.safetensors")
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoints/checkpoint-1000"


def test_a_run_folder_lends_its_config_and_tokenizer_to_the_checkpoint(tmp_path: Path) -> None:
    make(tmp_path / "run", "config.json", "tokenizer.json")
    make(tmp_path / "run/checkpoints/checkpoint-5", "model-00001-of-00002.safetensors")
    model = find_model(tmp_path / "run")
    assert model.weights == tmp_path / "run/checkpoints/checkpoint-5"
    assert (model.name, model.config, model.tokenizer) == ("run", tmp_path / "run", tmp_path / "run")


def test_a_checkpoint_finds_what_it_lacks_in_its_run_and_has_its_name(tmp_path: Path) -> None:
    make(tmp_path, "config.json", "tokenizer.json", "checkpoints/checkpoint-5/model.safetensors")
    model = find_model(tmp_path / "checkpoints/checkpoint-5")
    assert (model.name, model.config, model.tokenizer) == (tmp_path.name, tmp_path, tmp_path)


def test_a_checkpoint_below_runs_is_called_after_its_output_folder(tmp_path: Path) -> None:
    make(tmp_path / "tiny", "config.json", "tokenizer.json")
    checkpoint = make(tmp_path / "tiny/runs/train_1/checkpoints/checkpoint-5", "model.safetensors")
    for folder in (checkpoint, tmp_path / "tiny/runs/train_1", tmp_path / "tiny"):
        model = find_model(folder)
        assert (model.name, model.tokenizer, model.weights) == ("tiny", tmp_path / "tiny", checkpoint)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "is not a model folder"),
        (["config.json", "tokenizer.json"], "no weights"),
        (["adapter_config.json", "adapter_model.safetensors"], "holds an adapter, not a whole model: `fgc convert"),
        (["config.json", "model.safetensors"], "has no tokenizer"),
    ],
)
def test_a_folder_that_lacks_a_part_is_told_which(tmp_path: Path, names: list[str], message: str) -> None:
    with pytest.raises(FolderError, match=message):
        find_model(make(tmp_path / "a" / "b", "notes.txt", *names))


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="is not a folder"):
        find_model(tmp_path / "nowhere")


def test_another_tokenizer_may_be_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "m", "config.json", "model.safetensors")
    other = make(tmp_path / "t", "tokenizer.json")
    assert find_model(folder, other).tokenizer == other
    with pytest.raises(FolderError, match="m has no tokenizer"):
        find_model(folder, folder)
