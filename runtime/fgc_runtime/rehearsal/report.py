"""What a rehearsal found, as text and as JSON."""

import json
from dataclasses import asdict, dataclass, field

_GIGA, _MEGA = 1e9, 1e6


@dataclass(slots=True)
class Rank:
    """Memory of one process during a step, in bytes."""

    rank: int
    plan: str
    parameters: int
    gradients: int
    optimizer: int
    activations: int  # the most at once: kept for backward, temporary, and gathered weights
    peak: int  # of all together, at the moment of the most; on the device alone where shards lie on the host
    host: int = 0  # what lies in the host's memory beside that


@dataclass(slots=True)
class Report:
    """The program's training; `problems` empty: the step ran through."""

    problems: list[str] = field(default_factory=list)
    model: str = ""
    num_parameters: int = 0
    strategy: str = ""
    world_size: int = 1
    batch_shape: list[int] = field(default_factory=list)  # of one micro-batch
    label_tokens: int = 0  # of the first step on one process
    max_steps: int | None = None
    ranks: list[Rank] = field(default_factory=list)

    def as_json(self) -> str:
        """All of it."""
        return json.dumps({"version": 1, **asdict(self)}, indent=2)

    def as_text(self) -> str:
        """A few lines for people."""
        lines = []
        if self.model:
            lines.append(f"model     {self.model}, {self.num_parameters:,} parameters")
        if self.batch_shape:
            rows, length = self.batch_shape
            lines.append(f"batch     {rows} x {length} tokens per process and micro-batch")
        if self.max_steps is not None:
            lines.append(f"steps     {self.max_steps:,}")
        if self.strategy:
            lines.append(f"strategy  {self.strategy} on {self.world_size} process{'es' * (self.world_size > 1)}")
        for rank in self.ranks:
            lines += [f"rank {rank.rank}    {rank.plan}", "          " + _memory(rank)]
        lines += [f"problem   {problem}" for problem in self.problems]
        lines.append("1 problem" if len(self.problems) == 1 else f"{len(self.problems) or 'no'} problems")
        return "\n".join(lines)


def _memory(rank: Rank) -> str:
    parts = ("parameters", "gradients", "optimizer", "activations")
    listed = ", ".join(f"{name} {_size(getattr(rank, name))}" for name in parts)
    beside = f", and {_size(rank.host)} in the host's memory" if rank.host else ""
    return f"{_size(rank.peak)} at peak{beside}: {listed}"


def _size(num_bytes: int) -> str:
    if num_bytes >= _GIGA:
        return f"{num_bytes / _GIGA:.1f} GB"
    return f"{num_bytes / _MEGA:.1f} MB"
