"""List and steer running trainings from another terminal: save, stop, abort, change intervals.

JOB is a job's name or an unambiguous beginning of it; it may be left out where only one job runs. A command is carried
out before the next step, on all processes of the job, also during an evaluation. Only the user who started a job can
command it. From another machine that sees the same disk, such as a login node, JOB is the folder of the run or one
above it, with a slash: files in it, which nobody else can read, pass on the command within some seconds.
"""

import json
import os
import signal
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from fgc_runtime.control.client import ask, watch
from fgc_runtime.control.distant import DistantJob, job_below, jobs_below
from fgc_runtime.control.jobs import Job, NoSuchJob, UnsafeFolder, find_job, find_jobs, remove_job
from fgc_runtime.control.printing import print_list, print_status, settings
from fgc_runtime.control.server import Answer
from fgc_runtime.output import run_command
from fgc_runtime.terminal import visible

_ANSWER_S = 5  # questions are answered by a thread that waits for nothing
_EXAMPLES = (
    "fgc control list",
    "fgc control status tiny_llama-4711",
    "fgc control save                      the only job that runs",
    "fgc control stop --timeout 60         the final model, or an error after a minute",
    "fgc control save-stop tiny            a checkpoint, and the end: --resume goes on",
    "fgc control abort tiny --force        a job that hangs",
    "fgc control set tiny logging_steps=5 eval_steps=500",
    "fgc control stacks tiny",
    "fgc control list output_models/       jobs whose runs lie below a folder, on any machine",
    "fgc control save output_models/tiny   a job on another machine",
    "fgc control cleanup",
)
_ACTIONS = {
    "list": "all jobs, with step, loss, tokens per second and time left",
    "status": "one job in full",
    "save": "write a checkpoint and go on; waits until it is complete",
    "stop": "finish as after the last step: checkpoint if the run saves any, final model; exit code 0",
    "save-stop": "write a checkpoint and end, for a later --resume; the final model is left alone; exit code 0",
    "abort": "end and write nothing more; exit code 1",
    "set": "change logging_steps, eval_steps or save_steps for the rest of this run",
    "stacks": "print the call stacks of the job's processes, for one that hangs",
    "cleanup": "remove what dead jobs left",
}


def main(words: Sequence[str] | None = None) -> int:
    """Carry out a command line; 0 if it was done, 1 if a job refused or did not answer, 2 if it could not run."""
    arguments = _parser().parse_args(words)
    try:
        return _run(arguments)
    except (NoSuchJob, UnsafeFolder, ValueError) as problem:
        print(visible(f"fgc: {problem}"), file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise  # nobody reads what is printed: a job that has gone is another ConnectionError
    except (TimeoutError, ConnectionError) as problem:
        print(visible(f"fgc: {problem}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fgc: not waiting any longer; what was accepted will still be carried out", file=sys.stderr)
        return 130


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="fgc control",
        description=__doc__,
        epilog=_examples_of(""),
        formatter_class=RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in _ACTIONS.items():
        action = actions.add_parser(
            name,
            help=summary,
            description=fill(summary[0].upper() + summary[1:] + ".", 80),
            epilog=_examples_of(name),
            formatter_class=RawDescriptionHelpFormatter,
        )
        action.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
        if name == "list":
            action.add_argument("folder", nargs="?", metavar="FOLDER", help="look for runs below it, of all machines")
        if name not in ("list", "cleanup"):
            action.add_argument("job", nargs="?", metavar="JOB", help="which job; default: the only one that runs")
        if name in ("save", "stop", "save-stop", "abort", "set"):
            action.add_argument("--no-wait", action="store_true", help="return once the job has accepted")
            action.add_argument("--timeout", type=float, metavar="S", help="wait this long at most (default: no limit)")
        if name == "set":
            action.add_argument("settings", nargs="*", metavar="NAME=STEPS", help="such as logging_steps=5")
        if name == "abort":
            action.add_argument("--force", action="store_true", help="kill the processes: for a job that hangs")
        if name == "cleanup":
            action.add_argument("--force", action="store_true", help="also forget jobs that live but do not answer")
    return parser


def _examples_of(action: str) -> str:
    """The examples of an action, or all of them."""
    chosen = [example for example in _EXAMPLES if action in ("", example.split()[2])]
    return "examples:\n" + "\n".join(f"  {example}" for example in chosen)


def _run(arguments: Namespace) -> int:
    as_json = arguments.format == "json"
    if arguments.action == "list":
        jobs = find_jobs() if arguments.folder is None else jobs_below(Path(arguments.folder))
        print_list([(job, _state(job)) for job in jobs], as_json=as_json)
        return 0
    if arguments.action == "cleanup":
        return _clean_up(arguments.force, as_json=as_json)
    if arguments.action == "set":
        _settings_first(arguments)
    job = _chosen(arguments.job)
    if arguments.action == "status":
        state = _state(job)
        print_status(job, state, as_json=as_json)
        return 0 if state["state"] == "done" else 1
    if arguments.action == "stacks":
        return _print_answer(ask(job, "stacks", timeout_s=_ANSWER_S), as_json=as_json)
    if arguments.action == "abort" and arguments.force:
        return _kill(job, as_json=as_json)
    return _command(job, arguments, as_json=as_json)


def _settings_first(arguments: Namespace) -> None:
    """`set logging_steps=5` names no job."""
    if arguments.job and "=" in arguments.job:
        arguments.settings.insert(0, arguments.job)
        arguments.job = None


def _chosen(job_id: str | None) -> Job:
    if job_id is not None:
        return job_below(Path(job_id)) if "/" in job_id else find_job(job_id)
    alive = [job for job in find_jobs() if job.is_alive]
    if len(alive) == 1:
        return alive[0]
    if not alive:
        raise NoSuchJob("no job is running")
    raise NoSuchJob(f"several jobs are running, name one: {', '.join(job.job_id for job in alive)}")


def _state(job: Job) -> Answer:
    if not job.is_alive:
        message = "ended without a goodbye; `fgc control cleanup` removes what it left"
        return {"state": "dead", "message": _silence(job) if isinstance(job, DistantJob) else message}
    try:
        return ask(job, "status", timeout_s=_ANSWER_S)
    except (TimeoutError, ConnectionError):
        return {"state": "silent", "message": f"does not answer within {_ANSWER_S} s (process {job.pid})"}


def _silence(job: DistantJob) -> str:
    try:
        return f"has written nothing for {job.silent_s():.0f} s, on {job.host}: it was killed, or its machine is gone"
    except OSError as error:
        return f"cannot be read: {error}"


def _command(job: Job, arguments: Namespace, *, as_json: bool) -> int:
    options = settings(arguments.settings) if arguments.action == "set" else {}
    answer: Answer = {}
    for answer in watch(job, arguments.action, timeout_s=arguments.timeout, **options):
        if answer["state"] == "accepted" and not as_json:
            print(visible(f"{job.job_id}: accepted; {answer['message']}"), file=sys.stderr, flush=True)
        if arguments.no_wait:
            break
    return _print_answer({"job_id": job.job_id, **answer}, as_json=as_json)


def _print_answer(answer: Answer, *, as_json: bool) -> int:
    has_failed = answer["state"] == "failed"
    if as_json:
        print(json.dumps(answer, indent=2))
    elif answer["state"] != "accepted":
        text = f"fgc: {answer['message']}" if has_failed else str(answer["message"])
        print(visible(text), file=sys.stderr if has_failed else None)
    return int(has_failed)


def _kill(job: Job, *, as_json: bool) -> int:
    """End every process of a living job at once. A dead one's numbers may belong to others by now."""
    if isinstance(job, DistantJob):
        raise ValueError(f"--force ends processes of this machine; `{job.job_id}` runs on {job.host}")
    if not job.is_alive:
        raise ConnectionError(f"job `{job.job_id}` has ended already; `fgc control cleanup` removes what it left")
    for pid in job.pids or [job.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    remove_job(job)
    message = f"killed {job.job_id} ({len(job.pids or [job.pid])} processes); its newest checkpoint is whole"
    return _print_answer({"job_id": job.job_id, "state": "done", "message": message}, as_json=as_json)


def _clean_up(force: bool, *, as_json: bool) -> int:
    gone = [job for job in find_jobs() if not job.is_alive or (force and _state(job)["state"] == "silent")]
    for job in gone:
        remove_job(job)
    names = [job.job_id for job in gone]
    if as_json:
        print(json.dumps({"removed": names}, indent=2))
    else:
        print(visible(f"removed what was left of {', '.join(names)}") if names else "there is nothing to clean up")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
