"""Assigns stages to the processes of a pipeline."""

from dataclasses import dataclass

import torch.distributed as dist


@dataclass(frozen=True, slots=True)
class StageLayout:
    """The processes of stages 0, 1, ...: in loops (0 1 0 1), or in a V (0 1 1 0), where one has the first and last."""

    rank: int  # in the pipeline
    size: int
    stages_per_rank: int
    is_v: bool
    group: dist.ProcessGroup

    @property
    def num_stages(self) -> int:
        """Returns the number of stages in the whole pipeline."""
        return self.size * self.stages_per_rank

    @property
    def own(self) -> list[int]:
        """Returns this process's stages, in order."""
        return [stage for stage in range(self.num_stages) if self.rank_of(stage) == self.rank]

    def rank_of(self, stage: int) -> int:
        """Returns the rank in the pipeline of the process that has a stage."""
        lap, position = divmod(stage, self.size)
        return self.size - 1 - position if self.is_v and lap % 2 else position

    def global_rank(self, rank: int) -> int:
        """Returns the rank in the world of a process of this pipeline."""
        return dist.get_global_rank(self.group, rank)
