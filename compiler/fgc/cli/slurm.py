"""The step of a Slurm job that a command runs in: how many tasks on how many machines, and where they meet."""

import os
import re
from collections.abc import Mapping

from msgspec import Struct

_FIRST_PORT, _NUM_PORTS = 12_000, 20_000  # below those that Linux hands out


class SlurmStep(Struct, frozen=True):
    """Holds what `srun` says to a task."""

    num_tasks: int
    num_nodes: int
    node: int
    first_host: str
    port: int

    @property
    def has_a_task_for_each_process(self) -> bool:
        """Returns True if `srun` itself started the processes of the training, several on a machine."""
        return self.num_tasks > self.num_nodes

    @property
    def meeting_words(self) -> list[str]:
        """Returns the words that let one torchrun on each machine meet."""
        nodes = ["--nnodes", str(self.num_nodes), "--node-rank", str(self.node)]
        return [*nodes, "--master-addr", self.first_host, "--master-port", str(self.port)]


def slurm_step(environment: Mapping[str, str] = os.environ) -> SlurmStep | None:
    """Returns the step if `srun` started several tasks; None in a batch script, or elsewhere."""
    num_tasks = int(environment.get("SLURM_STEP_NUM_TASKS", "1"))
    if num_tasks == 1 or "RANK" in environment:
        return None
    return SlurmStep(
        num_tasks,
        int(environment.get("SLURM_STEP_NUM_NODES", "1")),
        int(environment.get("SLURM_NODEID", "0")),
        first_host(environment.get("SLURM_STEP_NODELIST", "localhost")),
        port_of(int(environment.get("SLURM_JOB_ID", "0"))),
    )


def port_of(number: int) -> int:
    """Returns a port where processes may meet, the same for the same number, below those that Linux hands out."""
    return _FIRST_PORT + number % _NUM_PORTS


def first_host(nodes: str) -> str:
    """Returns the first name of a list as Slurm writes them: `node[003-006,9],other` is `node003`."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])*+", nodes)
    assert first is not None, "the pattern matches every text"
    return re.sub(r"\[([^\[\],-]++)[^\[\]]*\]", r"\1", first[0])
