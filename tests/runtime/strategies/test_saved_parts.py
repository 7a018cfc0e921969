"""A checkpoint holds the weights once, in the model's own files, and no process has all of them at any time."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.checkpoint import parts, saver
from fgc_runtime.checkpoint.gathering import Gathering
from fgc_runtime.checkpoint.tensors import read_all_tensors
from fgc_runtime.trainers import DDP, FSDP2, Pipeline, SingleDevice, Strategy, Trainer, TrainingArguments
from torch.distributed.tensor import DTensor
from torch.optim import SGD
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
    torch.manual_seed(1)
    return LlamaForCausalLM(LlamaConfig(**_SIZES, tie_word_embeddings=is_tied))


def _tied_half() -> PreTrainedModel:
    return _llama(is_tied=True).to(torch.bfloat16)


def _experts() -> PreTrainedModel:
    """A model of which transformers stores each expert on its own, and computes with all of a layer together."""
    torch.manual_seed(1)
    return Qwen3MoeForCausalLM(Qwen3MoeConfig(**_SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16))


def _trainer(make: Any, strategy: Callable[[], Strategy], folder: Path, **arguments: Any) -> Trainer:
    args = {"max_steps": 1, "save_steps": 1, "per_device_train_batch_size": 4, **arguments}
    return Trainer(
        make,
        TrainingArguments(
            output_dir=folder, use_cpu=True, save_strategy="steps", logging_strategy="no",
            lr_scheduler_type="constant", **args,
        ),
        train_dataset=[{"input_ids": torch.arange(number, number + 9)} for number in range(32)],
        callbacks=[],
        optimizer_factory=partial(SGD, lr=0.5),
        strategy=strategy(),
    )  # fmt: skip


def _refused(*_: Any, **__: Any) -> Any:
    raise AssertionError("gathers a whole model, or with the training's own exchanges")


def _saved(make: Any, strategy: Callable[[], Strategy], folder: Path, arguments: dict[str, Any]) -> Any:
    """The weights at the end, and the most elements that were gathered from one layer to the next."""
    parts._MAX_SHARD_BYTES = 40_000  # a process of its own
    gather, gathered, most = Gathering.gather, [0], [0]
    begin = parts.ShardWriter.write

    def noting(self: Gathering, name: str) -> Any:
        weight = gather(self, name)
        gathered[0] += 0 if weight is None else weight.numel()
        most[0] = max(most)
        return weight

    def written(self: Any, name: str, tensor: torch.Tensor) -> None:
        most.append(gathered[0])
        gathered[0] = 0
        begin(self, name, tensor)

    trainer = _trainer(make, strategy, folder, **arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gathering, "gather", noting)
        patch.setattr(parts.ShardWriter, "write", written)
        patch.setattr(parts.WeightParts, "complete", _refused)
        patch.setattr(DTensor, "full_tensor", _refused)
        trainer.train()
    with trainer._checkpoints.trained_weights():
        full = trainer.strategy.full_model()
    return full and {name: tensor.clone() for name, tensor in full.state_dict.items()}, max(most)


_WAYS = {
    "single-tied": (SingleDevice, 1, _tied_half, {}),
    "single-experts": (SingleDevice, 1, _experts, {}),
    "ddp": (DDP, 2, partial(_llama, is_tied=True), {}),
    "shards-tied": (FSDP2, 2, _tied_half, {}),
    "shards-experts": (FSDP2, 2, _experts, {}),
    "shards-cut": (partial(FSDP2, tp_size=2), 2, _llama, {}),
    "shards-average": (FSDP2, 2, partial(_llama, is_tied=True), {"ema_decay": 0.5}),
    "stages-tied": (Pipeline, 2, _tied_half, {}),
    "stages": (Pipeline, 2, _llama, {}),
}


@pytest.mark.parametrize("way", _WAYS.values(), ids=_WAYS)
def test_a_checkpoint_holds_the_weights_once(in_processes: InProcesses, tmp_path: Path, way: Any) -> None:
    strategy, size, make, arguments = way
    (weights, most), *_ = in_processes(size, _saved, make, strategy, tmp_path, arguments)
    if size > 1 and strategy is not DDP:
        assert 0 < most < sum(weight.numel() for weight in weights.values()) / 2
    (folder,) = tmp_path.glob("runs/*/checkpoints/checkpoint-1")
    tensors = json.loads((folder / "state/tensors.json").read_text())["tensors"]
    in_model = {name for name, entry in tensors.items() if entry["parts"][0]["file"].startswith("model")}
    kind = "average" if arguments else "model"
    assert in_model >= {f"{kind}.{name}" for name in weights if not arguments or name != "lm_head.weight"}
    if not arguments:
        assert not any(path.stat().st_size for path in (folder / "state").glob("*.distcp"))
    stored = read_all_tensors(folder)
    assert all(torch.equal(stored[f"model.{name}"], weight) for name, weight in weights.items())
    shown = type(make()).from_pretrained(folder).state_dict()
    assert all(torch.equal(stored[f"{kind}.{name}"], shown[name]) for name in shown if f"{kind}.{name}" in stored)


def _resumed(make: Any, strategy: Callable[[], Strategy], folder: Path, steps: int) -> Any:
    trainer = _trainer(make, strategy, folder, max_steps=steps, resume_from_checkpoint=True)
    trainer.train()
    full = trainer.strategy.full_model()
    return full and {name: tensor.clone() for name, tensor in full.state_dict.items()}


@pytest.mark.parametrize("strategy", [FSDP2, partial(FSDP2, tp_size=2)], ids=["shards", "shards-cut"])
def test_experts_go_on_from_their_files(in_processes: InProcesses, tmp_path: Path, strategy: Any) -> None:
    """Each process reads rows of matrices that lie in files of their own; a matrix that is cut lies in none whole."""
    make = _experts if strategy is FSDP2 else _llama
    straight = in_processes(2, _resumed, make, strategy, tmp_path / "straight", 2)[0]
    in_processes(2, _resumed, make, strategy, tmp_path / "halves", 1)
    resumed = in_processes(2, _resumed, make, strategy, tmp_path / "halves", 2)[0]
    assert all(torch.equal(weight, resumed[name]) for name, weight in straight.items())


def test_weights_that_were_changed_on_their_way_into_the_files_are_written_beside_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save = saver.save_model

    def rounded(model: Any, tokenizer: Any, folder: Path, *, state_dict: Any) -> None:
        name = "model.norm.weight"
        save(model, tokenizer, folder, state_dict={**state_dict, name: state_dict[name] + 1e-3})

    monkeypatch.setattr(saver, "save_model", rounded)
    trainer = _trainer(_llama(), SingleDevice, tmp_path)
    trainer.train()
    (folder,) = tmp_path.glob("runs/*/checkpoints/checkpoint-1")
    tensors = json.loads((folder / "state/tensors.json").read_text())["tensors"]
    beside = [name for name, entry in tensors.items() if not entry["parts"][0]["file"].startswith("model")]
    assert beside == ["model.model.norm.weight"]
    assert torch.equal(read_all_tensors(folder)[beside[0]], trainer.model.state_dict()["model.norm.weight"])


def _fails(strategy: Callable[[], Strategy], folder: Path) -> str:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    parts.ShardWriter.write = full  # type: ignore[method-assign]  # a process of its own
    try:
        _trainer(_llama, strategy, folder).train()
    except Exception as error:
        return str(error)
    return "no error"


@pytest.mark.parametrize("strategy", [FSDP2, Pipeline])
def test_a_disk_that_is_full_ends_the_save_on_all_processes(
    in_processes: InProcesses, tmp_path: Path, strategy: Callable[[], Strategy]
) -> None:
    told = in_processes(2, _fails, strategy, tmp_path)
    assert all("checkpoint-1 could not be written: the disk is full" in text for text in told)
