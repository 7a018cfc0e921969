"""Writes a job as a driver for Ray Train: TorchTrainer starts the processes, and each runs the program."""

import importlib.util
import os
import subprocess

from fgc.cli.arguments import CannotRun
from fgc.cli.clusters.job import Job, LaunchPlan

DRIVER = "ray_job.py"
_TEXT = '''\
"""Starts PROGRAM in {count} processes of Ray Train. Written by `fgc train --launch ray`."""

import os
import runpy
import sys

import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

FOLDER = {folder!r}
PROGRAM = {program!r}
WORDS = {words!r}
ENVIRONMENT = {environment!r}


def train(_: dict) -> None:
    os.chdir(FOLDER)
    sys.argv = [PROGRAM, *WORDS]
    sys.path.insert(0, os.path.dirname(PROGRAM))
    try:
        runpy.run_path(PROGRAM, run_name="__main__")
    except SystemExit as end:
        if end.code not in (0, None):
            raise RuntimeError(f"the program ended with {{end.code}}") from None


def main() -> None:
    ray.init(address={address!r}, runtime_env={{"env_vars": ENVIRONMENT}}, log_to_driver=True)
    scaling = ScalingConfig(num_workers={count}, use_gpu={use_gpu}, resources_per_worker={resources!r})
    TorchTrainer(train, scaling_config=scaling, run_config=RunConfig(name={name!r}, storage_path={storage!r})).fit()


if __name__ == "__main__":
    main()
'''


def plan(job: Job) -> LaunchPlan:
    """Returns the driver and the command that runs it."""
    if not job.processes.isdecimal():
        raise CannotRun("Ray needs a number of processes: `processes_per_node` in the profile")
    use_gpu = bool(job.profile.get("use_gpu", False))
    cpus = {"CPU": int(job.profile.get("cpus_per_process", 1))}
    text = _TEXT.format(
        program=job.program,
        count=job.profile.nodes[1] * int(job.processes),
        folder=str(job.project),
        words=job.program_words,
        environment=job.environment,
        address=job.profile.get("address"),
        use_gpu=use_gpu,
        resources={**cpus, "GPU": 1} if use_gpu else cpus,
        name=job.name,
        storage=str(job.profile.get("storage", job.folder / "ray")),
    )
    return LaunchPlan({DRIVER: text}, [[job.python, "-P", str(job.folder / DRIVER)]])


def start(job: Job, made: LaunchPlan) -> int:
    """Runs the driver and returns its exit code. Raises CannotRun without Ray."""
    if importlib.util.find_spec("ray") is None and "python" not in job.profile.values:
        raise CannotRun("`--launch ray` needs Ray: pip install 'ray[train]'")
    (command,) = made.commands
    environment = {**os.environ, **job.secrets, "RAY_TRAIN_V2_ENABLED": os.environ.get("RAY_TRAIN_V2_ENABLED", "1")}
    code = subprocess.run(command, cwd=job.project, env=environment, check=False).returncode
    return code if code >= 0 else 128 - code
