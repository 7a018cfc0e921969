"""Processes whose forward passes meet run equally many, also in a window that is short."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fgc_runtime.data.windows import Share, Window
from fgc_runtime.trainers.strategies.base import Strategy

IGNORED = -100


def batch(rows: list[int]) -> dict[str, torch.Tensor]:
    tokens = torch.tensor([[row] * 3 for row in rows])
    return {"input_ids": tokens, "labels": tokens.clone()}


@pytest.mark.parametrize("num_examples", range(1, 13))
def test_all_processes_run_equally_many_micro_batches(num_examples: int) -> None:
    share, size = 2, 3
    run: list[list[Any]] = []
    for rank in range(size):
        own = Share(share, 2, rank, size).own(range(num_examples)) or [0]
        cut = [batch(list(own[start : start + share])) for start in range(0, len(own), share)]
        strategy = SimpleNamespace(data_world_size=size, _micro_batch_size=share)
        run.append(Strategy.evened(strategy, Window(cut, 0, num_examples, False)))  # type: ignore[arg-type]
        added = run[-1][len(cut) :]
        assert all((one["labels"] == IGNORED).all() for one in added)
    assert len({len(batches) for batches in run}) == 1
