"""Runs all micro-batches through all stages without gradients, for every layout of stages.

In round t, micro-batch m is in stage t - m. With 3 stages and 2 micro-batches:

    round      0     1     2     3
    stage 0    m0    m1
    stage 1          m0    m1
    stage 2                m0    m1

All outputs of a round are sent in one exchange before the next round, so no two processes wait for each other.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from fgc_runtime.data.collator import Batch
from fgc_runtime.trainers.strategies.pipeline.layout import StageLayout
from fgc_runtime.trainers.strategies.pipeline.stages import Stage


def wavefront(
    stages: dict[int, Stage], layout: StageLayout, batches: Sequence[Batch], hidden_size: int, dtype: torch.dtype
) -> list[Tensor]:
    """Returns the summed loss of each micro-batch on the process of the last stage, an empty list on the others.

    `stages` are this process's, by number. Every process of the pipeline passes the same batches.
    """
    inputs: dict[tuple[int, int], Tensor] = {}  # by stage and micro-batch
    losses: list[Tensor] = []
    for time in range(layout.num_stages + len(batches) - 1):
        outputs: dict[tuple[int, int], Tensor] = {}
        for stage, batch_number in _at(time, layout.num_stages, len(batches)):
            if stage not in stages:
                continue
            batch = dict(batches[batch_number])
            token_ids = batch.pop("input_ids")
            given = token_ids if stage == 0 else inputs.pop((stage, batch_number))
            output = stages[stage](given, **batch)
            if stage == layout.num_stages - 1:
                losses.append(output)
            else:
                outputs[stage + 1, batch_number] = output.contiguous()
        inputs |= _exchange(time + 1, outputs, layout, batches, hidden_size, dtype)
    return losses


def _at(time: int, num_stages: int, num_batches: int) -> list[tuple[int, int]]:
    return [(stage, time - stage) for stage in range(num_stages) if 0 <= time - stage < num_batches]


def _exchange(
    time: int,
    outputs: dict[tuple[int, int], Tensor],
    layout: StageLayout,
    batches: Sequence[Batch],
    hidden_size: int,
    dtype: torch.dtype,
) -> dict[tuple[int, int], Tensor]:
    """Sends the outputs of the last round; returns the inputs of this process's stages in round `time`."""
    received: dict[tuple[int, int], Tensor] = {}
    transfers: list[dist.P2POp] = []
    for stage, batch_number in _at(time, layout.num_stages, len(batches)):
        if stage == 0:
            continue
        sender, receiver = layout.rank_of(stage - 1), layout.rank_of(stage)
        key = (stage, batch_number)
        if sender == receiver == layout.rank:
            received[key] = outputs[key]
        elif sender == layout.rank:
            transfers.append(dist.P2POp(dist.isend, outputs[key], layout.global_rank(receiver), layout.group))
        elif receiver == layout.rank:
            token_ids = batches[batch_number]["input_ids"]
            received[key] = torch.empty(*token_ids.shape, hidden_size, dtype=dtype, device=token_ids.device)
            transfers.append(dist.P2POp(dist.irecv, received[key], layout.global_rank(sender), layout.group))
    for work in dist.batch_isend_irecv(transfers) if transfers else []:
        work.wait()
    return received
