"""Tokens added to a model: old logits stay, new rows begin as asked, ids stand in both configurations."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.vocabulary import run_update
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from .conftest import Convert, config_of, save_model, save_tokenizer

NEW = {"text": "<pad>", "role": "pad", "init": "zero", "if_missing": True}
CHAT = {"text": "<|end|>", "role": "eos", "init": "mean", "if_missing": False}
WORD = {"text": "c", "role": "regular", "init": "mean", "if_missing": False}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    source = save_model(tmp_path / "model", config_of("llama", vocab_size=8, eos_token_id=1))
    save_tokenizer(source)
    return source


def update(source: Path, target: Path, tokens: list[dict[str, Any]], **changes: Any) -> list[str]:
    said: list[str] = []
    message = {"source": str(source), "target": str(target), "tokens": tokens, "multiple": 1, "is_dry_run": False}
    message["trust_remote_code"] = None
    assert run_update({**message, "max_shard_bytes": 10**9, **changes}, said.append) == 0
    return said


def logits(folder: Path) -> torch.Tensor:
    loaded = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    with torch.no_grad():
        return loaded(torch.tensor([[0, 3, 4, 1]])).logits


def config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("model_type", ["llama", "qwen3", "gpt2"], ids=["untied", "tied", "renamed and tied"])
def test_old_logits_stay_and_new_rows_are_the_mean(model_type: str, tmp_path: Path) -> None:
    source = save_model(tmp_path / "model", config_of(model_type, vocab_size=5, eos_token_id=1))
    save_tokenizer(source)  # it knows 5 tokens
    update(source, tmp_path / "out", [NEW, WORD], multiple=8)
    before, after = logits(source), logits(tmp_path / "out")
    assert after.shape[-1] == 8
    torch.testing.assert_close(after[..., :5], before)
    name = "transformer.wte.weight" if model_type == "gpt2" else "model.embed_tokens.weight"
    old, new = (load_file(folder / "model.safetensors")[name] for folder in (source, tmp_path / "out"))
    assert torch.equal(new[:5], old)
    assert torch.equal(new[5], torch.zeros_like(new[5]))
    torch.testing.assert_close(new[6:], old.mean(dim=0).expand(2, -1))


def test_ids_stand_in_both_configurations_and_the_tokenizer_has_the_tokens(model: Path, tmp_path: Path) -> None:
    said = update(model, tmp_path / "out", [NEW, CHAT])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    assert set(ids.values()) == {5, 6} and tokenizer.eos_token == "<|end|>"
    for name in ("config.json", "generation_config.json"):
        assert config(tmp_path / "out", name).items() >= ids.items()
    assert "rows of embeddings and head: 8 -> 8" in said[0]  # there was room


def test_a_token_that_is_only_wanted_if_missing_is_not_added_where_there_is_one(model: Path, tmp_path: Path) -> None:
    update(model, tmp_path / "out", [NEW])
    said = update(tmp_path / "out", tmp_path / "again", [{**NEW, "text": "[PAD]"}])
    assert said[0].startswith("no token is new")
    assert AutoTokenizer.from_pretrained(tmp_path / "again").pad_token == "<pad>"


def test_a_package_keeps_its_code_and_its_template_says_the_new_sizes(
    model: Path, run_conversion: Convert, tmp_path: Path
) -> None:
    run_conversion(model, tmp_path / "package", is_verified=False)
    update(tmp_path / "package", tmp_path / "out", [NEW], multiple=16)
    template = (tmp_path / "out" / "model.yaml").read_text(encoding="utf-8")
    assert "    vocab_size: 16\n" in template and "    pad_token_id: 5\n" in template
    assert logits(tmp_path / "out").shape[-1] == 16


def test_in_place_the_rest_of_the_folder_stays(model: Path) -> None:
    (model / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    (model / "checkpoints" / "checkpoint-1" / "state.json").write_text("{}", encoding="utf-8")
    (model / "notes.txt").write_text("mine", encoding="utf-8")
    update(model, model, [WORD], multiple=16)
    assert config(model)["vocab_size"] == 16
    assert (model / "checkpoints" / "checkpoint-1" / "state.json").read_text(encoding="utf-8") == "{}"
    assert (model / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_a_dry_run_shows_ids_and_sizes_and_writes_nothing(model: Path, tmp_path: Path) -> None:
    [said] = update(model, tmp_path / "out", [NEW, CHAT], multiple=64, is_dry_run=True)
    assert "2 tokens are new" in said and "<pad>  (pad, zero)" in said and "8 -> 64" in said
    assert not (tmp_path / "out").exists()


def test_a_folder_without_tokenizer_is_refused_and_stays(tmp_path: Path) -> None:
    source = save_model(tmp_path / "model", config_of("llama"))
    with pytest.raises(ConvertError, match="has no tokenizer that can be loaded"):
        update(source, tmp_path / "out", [NEW])
    assert not (tmp_path / "out").exists()
