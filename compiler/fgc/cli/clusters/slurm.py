"""Writes a job as a script for sbatch, with torchrun on each node; before its time limit it saves and requeues."""

import shlex
import shutil
import subprocess

from fgc.cli.arguments import CannotRun
from fgc.cli.clusters.job import Job, LaunchPlan, exports
from fgc.patterns import regex

SCRIPT = "job.sbatch"
_COMPUTED = regex(r"(\d+:)?\$(SLURM_NNODES|SLURM_JOB_ID|host|port)(:\$port)?")
_WARNED, _TOLD = 138, 143  # 128 + SIGUSR1 or SIGTERM: the program has saved
_OPTIONS = {
    "partition": "partition", "account": "account", "qos": "qos", "constraint": "constraint", "time": "time",
    "gpus_per_node": "gpus-per-node", "cpus_per_task": "cpus-per-task", "memory": "mem",
}  # fmt: skip
_BODY = """\
set -u
cd {project}
{exports}{setup}
# the first node's name: scontrol also reads lists with brackets
host=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$({python} -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
resume=()
if [ "${{SLURM_RESTART_COUNT:-0}}" -gt 0 ]; then resume=(--resume); fi

# a warning goes to the programs, which save and end with {warned}
warned=0
step=
trap 'warned=1; [ -z "$step" ] || kill -USR1 "$step"' USR1 TERM
srun --kill-on-bad-exit=1 bash -c 'PET_NODE_RANK=$SLURM_NODEID exec "$@"' fgc \\
    {torchrun} \\
    {program} "${{resume[@]}}" &
step=$!
while kill -0 "$step" 2> /dev/null; do wait "$step"; done  # a signal ends a wait early
wait "$step"
code=$?
"""
_REQUEUE = """\
# who preempts a job tells the programs itself, with SIGTERM; so does scancel, but then the job is not running any more
preempted=0
if [ "$code" -eq {told} ]; then
    case $(scontrol --oneliner show job "$SLURM_JOB_ID") in *JobState=RUNNING*PreemptTime=[0-9]*) preempted=1 ;; esac
fi
if [ "$preempted" = 1 ] || {{ [ "$warned" = 1 ] && [ "$code" -eq {warned} ]; }}; then
    echo "fgc: warned of its end; queued again" >&2
    scontrol requeue "$SLURM_JOB_ID"
fi
"""


def plan(job: Job) -> LaunchPlan:
    """Returns the script and the command that submits it."""
    fewest, most = job.profile.nodes
    nodes = f"{fewest}:$SLURM_NNODES" if job.profile.is_elastic else "$SLURM_NNODES"
    meeting = ["--master-addr", "$host", "--master-port", "$port"]
    if job.profile.is_elastic:
        meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "$host:$port", "--rdzv-id", "$SLURM_JOB_ID"]
    body = _BODY.format(
        project=shlex.quote(str(job.project)),
        exports=exports(job.environment),
        setup="".join(f"{line}\n" for line in job.profile.get("setup", ())),
        python=shlex.quote(job.python),
        torchrun=" ".join(map(_quoted, job.torchrun(nodes, meeting))),
        program=shlex.join([job.program, *job.program_words]),
        warned=_WARNED,
    )
    requeue = _REQUEUE.format(warned=_WARNED, told=_TOLD) if job.profile.get("requeue", True) else ""
    nodes_wanted = f"{fewest}-{most}" if job.profile.is_elastic else str(most)
    text = "#!/bin/bash\n" + "".join(f"#SBATCH {line}\n" for line in _header(job, nodes_wanted))
    return LaunchPlan(
        {SCRIPT: f'{text}{body}{requeue}exit "$code"\n'}, [["sbatch", "--parsable", str(job.folder / SCRIPT)]]
    )


def _header(job: Job, nodes: str) -> list[str]:
    profile = job.profile
    lines = [f"--job-name={job.short_name}", f"--nodes={nodes}", "--ntasks-per-node=1"]
    lines += [f"--{option}={profile.get(key)}" for key, option in _OPTIONS.items() if profile.get(key) is not None]
    lines.append(f"--signal=B:USR1@{profile.get('signal_before_s', 120)}")
    lines.append("--requeue" if profile.get("requeue", True) else "--no-requeue")
    lines += ["--open-mode=append", f"--output={_in_header(str(job.folder))}/%j.log"]
    return [*lines, *profile.get("sbatch", ())]


def _in_header(path: str) -> str:
    """Returns a path escaped for #SBATCH lines, where spaces end a word and % begins a placeholder."""
    return "".join(f"\\{sign}" if sign in " \"'\\#" else sign for sign in path).replace("%", "%%")


def _quoted(word: str) -> str:
    """Returns a quoted word in which only the script's own expressions are expanded."""
    return f'"{word}"' if _COMPUTED.fullmatch(word) else shlex.quote(word)


def start(job: Job, made: LaunchPlan) -> int:
    """Submits the script. Raises CannotRun with Slurm's own message."""
    if shutil.which("sbatch") is None:
        raise CannotRun("`sbatch` is not on the PATH: run this on a machine of the Slurm cluster, or use --dry-run")
    (command,) = made.commands
    done = subprocess.run(command, cwd=job.project, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotRun(f"Slurm refused the job: {done.stderr.strip() or f'sbatch ended with {done.returncode}'}")
    number = done.stdout.strip().partition(";")[0]
    print(f"submitted job {number}: squeue -j {number}; it ends with: scancel {number}")
    print(f"its log: {job.folder / f'{number}.log'}")
    return 0
