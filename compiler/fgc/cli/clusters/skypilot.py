"""Writes a job as a SkyPilot task: the bundle is copied to each node, where torchrun starts."""

import shlex
from typing import Any

from fgc.cli.arguments import CannotRun
from fgc.cli.building import PROGRAM
from fgc.cli.clusters.job import BUILD, Job, LaunchPlan, written_yaml
from fgc.cli.clusters.kubernetes import run_all

TASK = "task.yaml"
_RESOURCES = {
    "accelerators": "accelerators", "cloud": "cloud", "region": "region", "use_spot": "use_spot", "cpus": "cpus",
    "memory": "memory", "disk_size": "disk_size", "image": "image_id",
}  # fmt: skip


def plan(job: Job) -> LaunchPlan:
    """Returns the task and the command that launches it."""
    if job.profile.is_elastic:
        raise CannotRun("SkyPilot starts a fixed number of nodes: `nodes` must be one number")
    text = written_yaml(_task(job))
    cluster = job.profile.get("cluster", job.short_name)
    command = ["sky", "launch", "--yes", "--cluster", cluster, *_given(job), str(job.folder / TASK)]
    return LaunchPlan({TASK: text}, [command])


def _given(job: Job) -> list[str]:
    """Returns options that pass secrets by name: SkyPilot takes the values from the command's environment."""
    return [word for name in job.secrets for word in ("--secret", name)]


def _task(job: Job) -> dict[str, Any]:
    resources = {key: job.profile.get(name) for name, key in _RESOURCES.items() if job.profile.get(name) is not None}
    python = job.profile.get("python", "python")
    meeting = [
        '--nnodes "$SKYPILOT_NUM_NODES"', '--node-rank "$SKYPILOT_NODE_RANK"', f"--master-port {job.port}",
        '--master-addr "$(echo "$SKYPILOT_NODE_IPS" | head -n 1)"',
    ]  # fmt: skip
    torchrun = f"{shlex.quote(python)} -m torch.distributed.run {' '.join(meeting)}"
    program = shlex.join([PROGRAM, *job.program_words])
    processes = '"$SKYPILOT_NUM_GPUS_PER_NODE"' if job.processes in ("gpu", "auto") else shlex.quote(job.processes)
    setup = [f"{shlex.quote(python)} -m pip install -r requirements.txt", *job.profile.get("setup", ())]
    task: dict[str, Any] = {"name": job.short_name}
    task |= {"resources": resources} if resources else {}
    task |= {"num_nodes": job.profile.nodes[1], "workdir": str(job.folder / BUILD)}
    task |= {"envs": job.environment} if job.environment else {}
    task |= {"setup": "".join(f"{line}\n" for line in setup)}
    return task | {"run": f"{torchrun} --nproc-per-node {processes} {program}\n"}


def start(job: Job, made: LaunchPlan) -> int:
    """Launches the task and returns the exit code of `sky`. Raises CannotRun."""
    return run_all(job, made)
