"""Forward passes of all micro-batches through all stages, without gradients, for every layout of stages.

In round t, micro-batch m is in stage t - m. What stages hand on travels between two rounds in one exchange, so no
process waits for one that waits for it.
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
    """The summed losses of the micro-batches where the last stage is, an empty list elsewhere.

    `stages` are this process's, by number. Every process is given the same batches.
    """
    inputs: dict[tuple[int, int], Tensor] = {}  # what stage and micro-batch will be given
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
    """Returns what this process's stages are given in round `time`."""
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
