"""Writes a job as a Kubeflow TrainJob and a container image, which brings the bundle into the pods."""

import json
import shutil
import subprocess
from typing import Any

from fgc.cli.arguments import CannotRun
from fgc.cli.building import PROGRAM
from fgc.cli.clusters.job import BUILD, Job, LaunchPlan, written_yaml

MANIFEST, DOCKERFILE = "trainjob.yaml", "Dockerfile"
_BASE = "python:3.12-slim"


def plan(job: Job) -> LaunchPlan:
    """Returns manifest and Dockerfile, and the commands that build the image, push it and submit."""
    if job.profile.is_elastic:
        raise CannotRun("a TrainJob has a fixed number of nodes: `nodes` must be one number")
    if job.processes == "cpu":
        raise CannotRun("a TrainJob has no processes for each CPU: `processes_per_node` is a number, `gpu` or `auto`")
    image = f"{_repository(job.profile.get('image'))}:{job.build_name}"
    manifest = written_yaml(_manifest(job, image))
    files = {MANIFEST: manifest, DOCKERFILE: _dockerfile(job)}
    commands = [
        ["docker", "build", "--file", str(job.folder / DOCKERFILE), "--tag", image, str(job.folder / BUILD)],
        ["docker", "push", image],
        ["kubectl", "apply", "--filename", str(job.folder / MANIFEST)],
    ]
    note = ""
    if job.secrets:
        note = f"give the pods {', '.join(job.secrets)} from a Secret: they are not written to any file"
    return LaunchPlan(files, commands, note)


def _repository(image: str) -> str:
    """Returns the image's name without a tag, because each build gets its own."""
    path, _, last = image.rpartition("/")
    return f"{path}/{last.partition(':')[0]}" if path else last.partition(":")[0]


def _manifest(job: Job, image: str) -> dict[str, Any]:
    profile = job.profile
    wanted = {
        "cpu": profile.get("cpus"),
        "memory": profile.get("memory"),
        "nvidia.com/gpu": profile.get("gpus_per_node"),
    }
    amounts = {name: str(amount) for name, amount in wanted.items() if amount is not None}
    words = ["-m", "torch.distributed.run", f"/opt/job/{PROGRAM}", *job.program_words]
    trainer: dict[str, Any] = {
        "image": image,
        "command": ["python", *words],
        "numNodes": profile.nodes[1],
    }
    if job.processes.isdecimal():  # without a number, Kubeflow starts one for each GPU
        trainer["numProcPerNode"] = int(job.processes)
    if amounts:
        trainer["resourcesPerNode"] = {"requests": amounts, "limits": {**amounts}}
    if job.environment:
        trainer["env"] = [{"name": name, "value": value} for name, value in job.environment.items()]
    spec: dict[str, Any] = {"runtimeRef": {"name": profile.get("runtime", "torch-distributed")}, "trainer": trainer}
    if profile.get("volume_claim"):
        spec["runtimePatches"] = [_volume(profile.get("volume_claim"), _mount(job))]
    metadata = {"name": job.build_name}
    metadata |= {"namespace": profile.get("namespace")} if profile.get("namespace") else {}
    return {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": metadata, "spec": spec}


def _mount(job: Job) -> str:
    return str(job.profile.get("mount", "/data"))


def _volume(claim: str, mount: str) -> dict[str, Any]:
    """Returns a patch of the runtime's pods, as Kubeflow's trainer takes it since 2.2."""
    pods: dict[str, Any] = {
        "volumes": [{"name": "work", "persistentVolumeClaim": {"claimName": claim}}],
        "containers": [{"name": "node", "volumeMounts": [{"name": "work", "mountPath": mount}]}],
    }
    job = {"name": "node", "template": {"spec": {"template": {"spec": pods}}}}
    return {"manager": "fgc", "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job]}}}}


def _dockerfile(job: Job) -> str:
    """Returns a Dockerfile with the bundle at /opt/job; the program starts in the volume, if there is one."""
    setup = "".join(f"RUN {line}\n" for line in job.profile.get("setup", ()))
    return (
        f"FROM {job.profile.get('base_image', _BASE)}\n"
        "COPY requirements.txt /tmp/requirements.txt\n"
        "RUN python -m pip install --no-cache-dir -r /tmp/requirements.txt\n"
        f"{setup}COPY . /opt/job\n"
        f"WORKDIR {json.dumps(_mount(job))[1:-1]}\n"
        'ENV PYTHONUNBUFFERED="1"\n'
    )


def start(job: Job, made: LaunchPlan) -> int:
    """Builds the image, pushes it and submits. Returns the first exit code that is not 0. Raises CannotRun."""
    return run_all(job, made)


def run_all(job: Job, made: LaunchPlan) -> int:
    """Runs the commands of a plan one after another, on this terminal. Raises CannotRun for a missing command."""
    for tool in dict.fromkeys(command[0] for command in made.commands):
        if shutil.which(tool) is None:
            written = f"files are in `{job.folder}`; `--dry-run` prints what to run"
            raise CannotRun(f"`{tool}` is not on the PATH; {written}")
    for command in made.commands:
        code = subprocess.run(command, cwd=job.project, check=False).returncode
        if code != 0:
            return code if code > 0 else 128 - code
    return 0
