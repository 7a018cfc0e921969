"""The memory that training needs, into its records: of the accelerator where there is one, else of the process."""

import resource
import sys

import torch

from fgc_runtime.callbacks.base import TrainerCallback, TrainingRun

_GIB = 2**30
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes on Linux


class MemoryCallback(TrainerCallback):
    """`peak_memory_gib`: the most that was allocated since the last record, of the process that needed most.

    On a GPU what torch has allocated, in GiB; on a CPU the largest resident size that the process ever had.
    """

    def on_record(self, run: TrainingRun, record: dict[str, float]) -> None:
        """Add it, and begin anew."""
        record["peak_memory_gib"] = max(run.world.gather(_peak_bytes(run.world.device))) / _GIB


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
