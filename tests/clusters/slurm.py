"""`fgc train --launch slurm` on a real Slurm of this machine: `make test-slurm`, outside the gate.

Needs Debian's slurmctld, slurmd, slurm-client and munge, and root. It starts a cluster of one node in a temporary
folder, on ports of its own, submits a training of two processes, lets Slurm warn and requeue it, and compares the
weights with those of a run without a break, bit for bit. Then it asks for what is not there.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG = """\
-- extends 'types/training_script/causal_lm/causal_lm.yaml'
[config_metadata]
    == super()
    -- set ns.model_name = 'small'
    -- set ns.trainer_template = 'trainers/ddp.yaml'
    -- set ns.nproc_per_node = 2
[dataset]
.define: &dataset !partial:fgc_runtime.data:python_stdlib_sources { max_bytes: 60000 }
[construct_new_model]
    -- include 'small.model'
[trainer_definition]
    -- include 'small.trainer'

#---- small.model ----
-- extends 'causal_lm.model'
[model_config]
    == super()
    hidden_size: 16
    intermediate_size: 32
    num_hidden_layers: 1
    num_attention_heads: 2

#---- small.trainer ----
-- extends ns.trainer_template
[trainer_args]
    == super()
    use_cpu: true
    max_steps: 200
    per_device_train_batch_size: 1
    save_strategy: 'no'
"""
SLURM = """\
ClusterName=fgc
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={ctld}
SlurmdPort={d}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=requeue_setup_env_fail
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
MailProg=/bin/true
JobRequeue=1
KillWait=60
RequeueExit=99
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=low Nodes={host} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=120 PreemptMode=REQUEUE
PartitionName=high Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""
PROFILES = """\
slurm: { environment: { OMP_NUM_THREADS: 1, GLOO_SOCKET_IFNAME: lo } }
lost: { backend: slurm, partition: moon }
"""
PATIENCE_S = 1_200.0


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(said: str, is_true: object, *, seconds: float = PATIENCE_S) -> None:
    """Asks again and again. Raises AssertionError, with what it waited for."""
    assert callable(is_true)
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"waited {seconds:.0f} s for: {said}"
        time.sleep(0.5)


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Runs munged, slurmctld and slurmd; yields the environment in which Slurm's commands find them."""
    for name in ("spool", "state"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    numbers = {"ctld": free_port(), "d": free_port(), "cpus": os.cpu_count()}
    (folder / "slurm.conf").write_text(SLURM.format(host=host, folder=folder, **numbers), encoding="utf-8")
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    commands = [
        ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
         f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"],
        ["slurmctld", "-D", "-i"],
        ["slurmd", "-D", "-N", host],
    ]  # fmt: skip
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            started.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            if command[0] == "munged":
                wait_until("munged", (folder / "munge.socket").exists, seconds=60)
        wait_until("an idle node", lambda: "idle" in said(environment, "sinfo", "-h", "-o", "%t"), seconds=180)
        yield environment
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def said(environment: dict[str, str], *command: str) -> str:
    """Returns what a command prints, whether or not it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def fgc(project: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Runs fgc in the project."""
    command = [sys.executable, "-m", "fgc", "-t", "small.yaml", *words]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def submit(project: Path, environment: dict[str, str], output: str) -> tuple[str, Path]:
    """Returns a job's number and its log."""
    done = fgc(project, environment, "train", "--launch", "slurm", "--output-dir", output)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"submitted job (\d+)", done.stdout)
    assert found is not None, done.stdout
    (log,) = re.findall(r"its log: (.*)", done.stdout)
    return found[1], Path(log)


def finish(environment: dict[str, str], job: str, log: Path) -> str:
    """Waits for a job's end; returns its log."""
    wait_until(
        f"the end of job {job}",
        lambda: (
            not said(environment, "squeue", "-h", "-j", job, "-o", "%t").strip("\n").startswith(("PD", "R", "CF", "CG"))
        ),
    )
    return log.read_text(encoding="utf-8") if log.is_file() else ""


def weights(folder: Path) -> bytes:
    """Returns the file of the trained model."""
    return (folder / "model.safetensors").read_bytes()


def warned_and_requeued(project: Path, environment: dict[str, str], straight: bytes, how: str) -> None:
    """One job that is told to end while it trains. Raises AssertionError unless it ends with the same weights."""
    job, log = submit(project, environment, how)
    wait_until("the first steps", lambda: log.is_file() and "step 10/" in log.read_text(encoding="utf-8"))
    if how == "warned":
        said(environment, "scancel", "--batch", "--signal=USR1", job)
    else:  # a job of a partition that goes first wants the whole node
        other = said(
            environment, "sbatch", "--parsable", "-p", "high", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 5"
        )
        assert other.strip().isdecimal(), other
    text = finish(environment, job, log)
    assert "Resuming at step" in text, f"{how}: the job did not go on from a checkpoint:\n{text}"
    assert weights(project / how) == straight, f"{how}: the weights differ from those of a run without a break"
    print(f"{how}: saved, queued again, the same weights")


def refusals(project: Path, environment: dict[str, str]) -> None:
    """Check that the launch says what is missing, without a traceback."""
    lost = fgc(project, environment, "train", "--launch", "lost")
    assert lost.returncode == 2 and "invalid partition" in lost.stderr and "Traceback" not in lost.stderr, lost.stderr
    nowhere = {**environment, "PATH": "/nowhere"}
    absent = fgc(project, nowhere, "train", "--launch", "slurm")
    assert absent.returncode == 2 and "`sbatch` is not on the PATH" in absent.stderr, absent.stderr
    print("refused: a partition that is not there, a machine without Slurm")


def main() -> None:
    """Runs everything; an AssertionError says what failed."""
    missing = [tool for tool in ("munged", "slurmctld", "slurmd", "sbatch") if shutil.which(tool) is None]
    assert not missing, f"not installed: {', '.join(missing)} (apt-get install slurmctld slurmd slurm-client munge)"
    folder = Path(tempfile.mkdtemp(prefix="fgc-slurm-"))
    project = folder / "project"
    (project / "templates/configs").mkdir(parents=True)
    (project / "forgather_workspace").mkdir()
    (project / "meta.yaml").write_text("name: slurm\n", encoding="utf-8")
    (project / "templates/configs/small.yaml").write_text(CONFIG, encoding="utf-8")
    (project / "forgather_workspace/launch.yaml").write_text(PROFILES, encoding="utf-8")
    try:
        with cluster(folder) as environment:
            job, log = submit(project, environment, "straight")
            text = finish(environment, job, log)
            assert (project / "straight/model.safetensors").is_file(), f"the straight run failed:\n{text}"
            straight = weights(project / "straight")
            for how in ("warned", "preempted"):
                warned_and_requeued(project, environment, straight, how)
            refusals(project, environment)
    except BaseException:
        print(f"what there is to look at is in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
