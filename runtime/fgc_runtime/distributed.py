"""torchrun's environment to a `World`: which process this is, and what all of them agree on.

Alone or with others, the same calls work: a world of one returns at once what it was given. Numbers that steer the
loop travel as CPU tensors (gloo), so that agreeing never waits for an accelerator.
"""

import os
import random
import re
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")
_FIRST_PORT, _NUM_PORTS = 12_000, 20_000  # below those that Linux hands out


@dataclass(frozen=True, slots=True)
class World:
    """The processes that train together, seen from one of them."""

    rank: int
    local_rank: int
    size: int
    device: torch.device

    @classmethod
    def connect(cls, *, device: str | None = None, use_cpu: bool = False, timeout_s: float | None = None) -> "World":
        """Join the processes that torchrun or Slurm's srun started; without them, a world of one. May be called again.

        `timeout_s` is how long a process waits for the others; None: torch's default.
        """
        meet_by_slurm()
        rank, local_rank, size = (_environment_int(name) for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))
        world = cls(rank or 0, local_rank or 0, size or 1, _choose_device(device, use_cpu, local_rank or 0))
        if world.device.type == "cuda":
            torch.cuda.set_device(world.device)
        timeout = None if timeout_s is None else timedelta(seconds=timeout_s)
        if world.size > 1 and not dist.is_initialized():
            dist.init_process_group("cpu:gloo,cuda:nccl" if world.device.type == "cuda" else "gloo", timeout=timeout)
        elif world.size > 1 and timeout is not None:  # data was prepared together before
            dist.distributed_c10d._set_pg_timeout(timeout)
        return world

    @property
    def is_main(self) -> bool:
        """Returns True if this process prints, logs and saves."""
        return self.rank == 0

    def sum(self, values: Sequence[int]) -> list[int]:
        """Each position added up over all processes."""
        if self.size == 1:
            return list(values)
        return [int(value) for value in _sum(torch.tensor(values, dtype=torch.int64)).tolist()]

    def sum_floats(self, values: Sequence[float]) -> list[float]:
        """Each position added up over all processes, in float64."""
        if self.size == 1:
            return list(values)
        return [float(value) for value in _sum(torch.tensor(values, dtype=torch.float64)).tolist()]

    def gather(self, value: T) -> list[T]:
        """The value of every process, by rank."""
        if self.size == 1:
            return [value]
        values = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def from_main(self, value: T) -> T:
        """The main process's value, on every process."""
        return self.gather(value)[0]

    def wait(self) -> None:
        """Go on when every process has come this far."""
        if self.size > 1:
            self.sum([0])  # a gloo reduction: dist.barrier() would wait for the accelerator

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The main process runs the body, then the others do: what it downloads or caches is there for them."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()


@contextmanager
def main_process_first() -> Iterator[None]:
    """`World.main_first` for programs that prepare data before they have a trainer."""
    with World.connect().main_first():
        yield


def disconnect() -> None:
    """Leave the process group; without one, nothing happens."""
    if dist.is_initialized():
        dist.destroy_process_group()


def meet_by_slurm(environment: MutableMapping[str, str] = os.environ) -> None:
    """Put into the environment what torchrun would, if `srun` started several tasks and torchrun did not."""
    size = environment.get("SLURM_STEP_NUM_TASKS", "1")
    if "RANK" in environment or size == "1":
        return
    job = int(environment.get("SLURM_JOB_ID", "0"))
    meeting = {
        "RANK": environment["SLURM_PROCID"],
        "LOCAL_RANK": environment["SLURM_LOCALID"],
        "WORLD_SIZE": size,
        "MASTER_ADDR": first_host(environment.get("SLURM_STEP_NODELIST") or environment["SLURM_JOB_NODELIST"]),
        "MASTER_PORT": str(_FIRST_PORT + job % _NUM_PORTS),
    }
    for name, value in meeting.items():
        environment.setdefault(name, value)


def first_host(nodes: str) -> str:
    """Returns the first name of a list as Slurm writes them: `node[003-006,9],other` is `node003`."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*+", nodes)
    assert first is not None, "the pattern matches every text"
    return re.sub(r"\[([^\[\],-]++)[^\[\]]*\]", r"\1", first[0])


def seed_everything(seed: int) -> int:
    """Seed python, numpy and torch; returns the seed, so that it can stand where a seed is wanted."""
    import numpy

    random.seed(seed)
    numpy.random.seed(seed % 2**32)  # numpy takes 32 bits
    torch.manual_seed(seed)
    return seed


def _sum(tensor: torch.Tensor) -> torch.Tensor:
    dist.all_reduce(tensor)
    return tensor


def _environment_int(name: str) -> int | None:
    text = os.environ.get(name)
    return int(text) if text else None


def _choose_device(device: str | None, use_cpu: bool, local_rank: int) -> torch.device:
    if use_cpu:
        return torch.device("cpu")
    if device is not None:
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda", local_rank % torch.cuda.device_count())  # Slurm may show each task its own only
    return torch.device("cpu")
