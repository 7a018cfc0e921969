"""A checkpoint does not know its strategy: what one wrote, another goes on from, to the same weights."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from fgc_runtime.data import PreparedDataset
from fgc_runtime.data.prepared.preparing import Settings, prepare
from fgc_runtime.trainers import DDP, FSDP2, Pipeline, SingleDevice, Trainer, TrainingArguments
from torch.optim import AdamW

InProcesses = Callable[..., list[Any]]
WAYS: dict[str, tuple[Any, int, int]] = {  # strategy, processes, examples of each process
    "single": (SingleDevice, 1, 8),
    "ddp": (DDP, 2, 4),
    "fsdp2": (FSDP2, 2, 4),
    "tensor-parallel": (partial(FSDP2, tp_size=2), 2, 8),
    "pipeline": (Pipeline, 2, 8),
    "zbv": (partial(Pipeline, schedule="ZBVZeroBubble"), 2, 8),
}


@pytest.fixture
def train(tiny_model: Any, examples: Any, tmp_path: Path) -> Callable[..., Any]:
    """Up to a step, from the latest checkpoint in a folder; the weights at the end on the main process."""

    def train(way: str, name: str, max_steps: int, prepared: Path | None = None) -> Any:
        strategy, _, batch_size = WAYS[way]
        trainer = Trainer(
            tiny_model(is_tied=True, num_layers=4),
            TrainingArguments(
                output_dir=tmp_path / name,
                per_device_train_batch_size=batch_size,
                max_steps=max_steps,
                save_strategy="steps",
                save_steps=2,
                save_total_limit=None,
                resume_from_checkpoint=True,
                logging_strategy="no",
                lr_scheduler_type="constant",
                use_cpu=True,
            ),
            train_dataset=examples(40) if prepared is None else PreparedDataset(prepared),
            callbacks=[],
            optimizer_factory=partial(AdamW, lr=1e-2, eps=1e-4, weight_decay=0.1),
            strategy=strategy(),
        )
        trainer.train()
        full = trainer.strategy.full_model()
        return full and {name: tensor.clone() for name, tensor in full.state_dict.items()}

    return train


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("single", "fsdp2"),
        ("fsdp2", "single"),
        ("ddp", "pipeline"),
        ("pipeline", "single"),
        ("zbv", "tensor-parallel"),
        ("tensor-parallel", "zbv"),
    ],
)
def test_another_strategy_goes_on_where_one_stopped(
    in_processes: InProcesses, train: Callable[..., Any], first: str, second: str
) -> None:
    (straight,) = in_processes(1, train, "single", "straight", 4)
    in_processes(WAYS[first][1], train, first, "mixed", 2)
    mixed = in_processes(WAYS[second][1], train, second, "mixed", 4)[0]
    assert mixed.keys() == straight.keys()
    for name, weight in straight.items():
        torch.testing.assert_close(mixed[name], weight, rtol=0, atol=2e-6, msg=name)


@pytest.mark.parametrize(("first", "second"), [("ddp", "single"), ("single", "ddp")])
def test_prepared_data_goes_on_with_another_number_of_processes(
    in_processes: InProcesses, train: Callable[..., Any], examples: Any, tmp_path: Path, first: str, second: str
) -> None:
    """On each number of processes the examples of every step are those of the unprepared data."""
    folder = tmp_path / "prepared"
    settings = Settings(shard_tokens=100)
    prepare(examples(40), folder, target="t", tokenizer=None, settings=settings, say=lambda _: None)
    assert len(list(folder.glob("*.arrow"))) > 2
    (straight,) = in_processes(1, train, "single", "straight", 7)  # into the second epoch
    in_processes(WAYS[first][1], train, first, "mixed", 2, folder)
    mixed = in_processes(WAYS[second][1], train, second, "mixed", 7, folder)[0]
    for name, weight in straight.items():
        torch.testing.assert_close(mixed[name], weight, rtol=0, atol=2e-6, msg=name)
