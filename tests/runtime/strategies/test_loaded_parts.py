"""A model from files of which each process reads its own part: the same bits as one that is loaded at once."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.finetune import fine_tuned, load_base
from fgc_runtime.models.stored import NotStored, StoredTensor
from fgc_runtime.trainers import FSDP2, Pipeline, SingleDevice, Strategy, Trainer, TrainingArguments, deferred
from fgc_runtime.trainers.deferred import recording
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    LlamaConfig,
    MixtralConfig,
    PreTrainedModel,
    Qwen3MoeConfig,
)

InProcesses = Callable[..., list[Any]]

_SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
_LATENT = {"kv_lora_rank": 16, "q_lora_rank": 16, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16}
_GROUPS = {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_CONFIGS = {
    "tied": LlamaConfig(**_SIZES, tie_word_embeddings=True),
    "untied": LlamaConfig(**_SIZES, tie_word_embeddings=False),
    "mixtral": MixtralConfig(**_SIZES, num_local_experts=4),
    "qwen3-moe": Qwen3MoeConfig(**_SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16),
    "deepseek": DeepseekV3Config(**_SIZES, **_LATENT, **_GROUPS),
}


@pytest.fixture(autouse=True)
def _every(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_FEWEST_ELEMENTS", 500)


def _saved(config: Any, folder: Path, **options: Any) -> Path:
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder, **options)
    return folder


def _both(factory: Callable[[], Any]) -> tuple[Any, Any]:
    """Returns what a factory makes at once and in parts, from the same random states, to the same ones."""
    torch.manual_seed(5)
    plain, draws = factory(), torch.rand(3)
    torch.manual_seed(5)
    told: list[str] = []
    later = deferred.construct(factory, tell=told.append)
    assert torch.equal(draws, torch.rand(3)) and not told
    assert any(weight.is_meta for weight in later.parameters())
    return plain, later


def _assert_same(expected: nn.Module, found: nn.Module) -> None:
    for kind in ("named_parameters", "named_buffers"):
        pairs = zip(getattr(expected, kind)(), getattr(found, kind)(), strict=True)
        for (name, tensor), (found_name, found_tensor) in pairs:
            assert (name, tensor.dtype, tensor.requires_grad) == (
                found_name, found_tensor.dtype, found_tensor.requires_grad,
            )  # fmt: skip
            assert torch.equal(tensor, found_tensor), name


@pytest.mark.parametrize("config", _CONFIGS.values(), ids=_CONFIGS)
@pytest.mark.parametrize("options", [{}, {"dtype": "bfloat16"}, {"dtype": "float32"}], ids=["stored", "half", "full"])
def test_a_loaded_model_is_read_later(tmp_path: Path, config: Any, options: dict[str, Any]) -> None:
    folder = _saved(config, tmp_path, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    plain, later = _both(lambda: load_base(str(folder), **options))
    with torch.no_grad(), deferred.answering(later):
        assert later(input_ids=torch.arange(8)[None]).logits.isfinite().all()
    deferred.fill(later)
    _assert_same(plain, later)
    assert torch.equal(plain(torch.arange(8)[None]).logits, later(torch.arange(8)[None]).logits)


def test_a_base_is_made_ready_before_it_is_read(tmp_path: Path) -> None:
    """Rows of new tokens, which are means of the others, and small matrices beside the weights."""
    folder = str(_saved(_CONFIGS["tied"], tmp_path))

    def grown() -> PreTrainedModel:
        model = load_base(folder)
        model.resize_token_embeddings(70)
        return model

    def adapted() -> PreTrainedModel:
        return fine_tuned(partial(load_base, folder), adapter=partial(LoraConfig, r=2))

    for make in (grown, adapted):
        plain, later = _both(make)
        deferred.fill(later)
        _assert_same(plain, later)


def test_weights_that_lie_in_no_file_are_drawn_as_they_were(tmp_path: Path) -> None:
    folder = _saved(_CONFIGS["untied"], tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    plain, later = _both(lambda: load_base(str(folder)))
    deferred.fill(later)
    _assert_same(plain, later)


def test_what_transformers_refuses_is_refused(tmp_path: Path) -> None:
    folder = _saved(_CONFIGS["untied"], tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"][:-1].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        deferred.construct(lambda: load_base(str(folder)), tell=pytest.fail)


def test_other_files_are_loaded_at_once_and_the_reason_is_told(tmp_path: Path) -> None:
    folder = _saved(_CONFIGS["untied"], tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    told: list[str] = []
    later = deferred.construct(lambda: AutoModelForCausalLM.from_pretrained(folder), tell=told.append)
    assert not deferred.is_deferred(later)
    (line,) = told
    assert "otherwise than as they are in safetensors files" in line
    _assert_same(AutoModelForCausalLM.from_pretrained(folder), later)


def _read(folder: str, strategy: Callable[[], Strategy], out: Path) -> Any:
    """The weights of a trainer's model, and how many bytes of large ones this process looked at."""
    recording._FEWEST_ELEMENTS = 500  # a process of its own
    mapped, sizes = StoredTensor.mapped, dict[str, int]()

    def noting(stored: StoredTensor) -> torch.UntypedStorage:
        if torch.Size(stored.shape).numel() >= recording._FEWEST_ELEMENTS:
            sizes[f"{stored.path} {stored.start_bytes}"] = stored.size_bytes
        return mapped(stored)

    StoredTensor.mapped = noting  # type: ignore[method-assign]
    trainer = Trainer(partial(load_base, folder), TrainingArguments(output_dir=out, use_cpu=True), strategy=strategy())
    read = sum(sizes.values())
    full = trainer.strategy.full_model()
    return (None if full is None else {name: tensor.clone() for name, tensor in full.state_dict.items()}), read


@pytest.mark.parametrize(
    "strategy", [FSDP2, partial(FSDP2, tp_size=2), Pipeline], ids=["fsdp2", "tensor-parallel", "pipeline"]
)
def test_strategies_in_parts_begin_with_the_base_of_one_process(
    in_processes: InProcesses, tmp_path: Path, strategy: Callable[[], Strategy]
) -> None:
    folder = str(_saved(LlamaConfig(**{**_SIZES, "num_hidden_layers": 4}), tmp_path / "base"))
    ((whole, none),) = in_processes(1, _read, folder, SingleDevice, tmp_path / "out")
    (parts, first), (_, last) = in_processes(2, _read, folder, strategy, tmp_path / "out")
    assert none == 0 < min(first, last)
    if strategy is Pipeline:  # each reads its own stages and nothing else
        total = sum(weight.numel() * 4 for weight in whole.values() if weight.numel() >= 500)
        assert first + last == total and max(first, last) < 0.6 * total
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, parts[name]), name


def test_a_file_that_shrinks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(bytes(100))
    with pytest.raises(NotStored, match="cut off"):
        StoredTensor(tmp_path / "cut", 50, torch.float32, (20,)).tensor()
