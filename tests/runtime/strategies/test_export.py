"""A model whose weights lie on several processes to the files that one process would write, a layer at a time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.checkpoint import parts
from fgc_runtime.trainers import FSDP2, Pipeline, Strategy, Trainer, TrainingArguments
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen3MoeConfig, Qwen3MoeForCausalLM

InProcesses = Callable[..., list[Any]]

_SIZES: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


def _llama(*, is_tied: bool = False) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**_SIZES, tie_word_embeddings=is_tied))


def _tied_llama() -> PreTrainedModel:
    return _llama(is_tied=True)


def _experts() -> PreTrainedModel:
    """A model of which transformers stores each expert on its own, and computes with all of a layer together."""
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**_SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16))


def _half() -> PreTrainedModel:
    return _llama().to(torch.bfloat16)


def _saved(make: Callable[[], PreTrainedModel], strategy: Callable[[], Strategy], folder: Path) -> None:
    """Writes a model from the complete weights, and from parts into small files."""
    parts._MAX_SHARD_BYTES = 40_000  # a process of its own
    trainer = Trainer(make, TrainingArguments(output_dir=folder, use_cpu=True, seed=11), strategy=strategy())
    full = trainer.strategy.full_model()
    if full is not None:
        full.model.save_pretrained(folder / "whole", state_dict=full.state_dict)
    trainer.save_model(folder / "parts")


@pytest.mark.parametrize(
    ("strategy", "make"),
    [(FSDP2, _tied_llama), (FSDP2, _experts), (Pipeline, _tied_llama), (Pipeline, _half)],
    ids=["shards-tied", "shards-experts", "stages-tied", "stages-half"],
)
def test_weights_gathered_layer_by_layer_are_those_of_the_whole(
    in_processes: InProcesses, tmp_path: Path, strategy: Any, make: Callable[[], PreTrainedModel]
) -> None:
    in_processes(2, _saved, make, strategy, tmp_path)
    shards = {path.name: load_file(path) for path in (tmp_path / "parts").glob("model-*.safetensors")}
    index = json.loads((tmp_path / "parts/model.safetensors.index.json").read_text())
    assert len(shards) > 1
    assert index["weight_map"] == {name: file for file, weights in shards.items() for name in weights}
    whole, found = (type(make()).from_pretrained(tmp_path / name) for name in ("whole", "parts"))
    assert found.dtype == make().dtype
    assert all(torch.equal(weight, found.state_dict()[name]) for name, weight in whole.state_dict().items())
    make().save_pretrained(tmp_path / "alone")
    stored = load_file(tmp_path / "alone/model.safetensors")
    assert {name for weights in shards.values() for name in weights} == stored.keys()
