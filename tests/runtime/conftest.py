"""Models, data and callbacks small enough that a whole training run takes a fraction of a second."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.callbacks import TrainerCallback, TrainingRun
from fgc_runtime.trainers import Trainer, TrainingArguments
from transformers import LlamaConfig, LlamaForCausalLM

VOCAB_SIZE = 64

os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Recorder(TrainerCallback):
    """Keeps every record and the examples' own numbers, where a collator passed them on."""

    def __init__(self) -> None:
        self.logs: list[dict[str, float]] = []

    def on_log(self, run: TrainingRun, logs: Any) -> None:
        self.logs.append({"step": run.state.global_step, "epoch": run.state.epochs_done, **logs})

    @property
    def losses(self) -> list[float]:
        return [record["loss"] for record in self.logs if "loss" in record]


def tiny_llama(*, dropout: float = 0.0, is_tied: bool = False, seed: int = 0, num_layers: int = 2) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB_SIZE,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=num_layers,
            num_attention_heads=2,
            max_position_embeddings=64,
            attention_dropout=dropout,
            tie_word_embeddings=is_tied,
        )
    )


def ragged_examples(count: int, *, seed: int = 0, longest: int = 20) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, longest + 1, (count,), generator=generator).tolist()
    return [{"input_ids": torch.randint(3, VOCAB_SIZE, (length,), generator=generator)} for length in lengths]


@pytest.fixture
def make_trainer(tmp_path: Path) -> Callable[..., Trainer]:
    """A trainer on 24 ragged examples that logs each step and writes below tmp_path; everything can be overridden."""

    def make(**overrides: Any) -> Trainer:
        arguments = {
            "output_dir": tmp_path / "out",
            "per_device_train_batch_size": 4,
            "logging_steps": 1,
            "save_strategy": "no",
            "learning_rate": 1e-2,
            "use_cpu": True,
        }
        names = set(TrainingArguments.__dataclass_fields__)
        arguments |= {name: overrides.pop(name) for name in list(overrides) if name in names}
        defaults = {"model": tiny_llama(), "train_dataset": ragged_examples(24), "callbacks": [Recorder()]}
        return Trainer(args=TrainingArguments(**arguments), **{**defaults, **overrides})

    return make


@pytest.fixture
def tiny_model() -> Callable[..., LlamaForCausalLM]:
    return tiny_llama


@pytest.fixture
def examples() -> Callable[..., list[dict[str, torch.Tensor]]]:
    return ragged_examples


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def recorder_class() -> type[Recorder]:
    return Recorder
