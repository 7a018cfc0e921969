"""A compiled configuration to a running training: built, started, by torchrun from two processes on, waited for."""

import os
import shlex
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from fgc.cli.arguments import CannotRun
from fgc.cli.building import PROGRAM, write_folder
from fgc.cli.devices import count_devices, visible_devices
from fgc.cli.kept_builds import keep_build
from fgc.cli.select import Selected, report
from fgc.cli.slurm import slurm_step
from fgc.installed import package_folder
from fgc.ir import Call
from fgc.pipeline.metadata import meta_value
from fgc.text import is_secret

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
_FEWEST_TO_SHARE = 2  # processes, where the configuration says `gpu` or `auto` and this machine has none
_SCRIPT = "fgc_runtime.script:TrainingScript"
_HIDES_PACKAGES = "PYTHONSAFEPATH"  # a program finds its model's package beside itself
_OWN_PROCESSES = ("--nproc-per-node", "--nproc_per_node")
_OWN_MEETING = ("--nnodes", "--rdzv", "--master", "--node-rank", "--node_rank", "--standalone")


def launch(selected: Selected, arguments: Namespace) -> int:
    """Build, start, wait; the program's exit code. Raises CannotRun."""
    if selected.has_errors:
        report(selected.diagnostics)
        return 1
    if words := words_of_run(arguments):
        _require_training_script(selected, words[0])
    if arguments.launch is not None:
        from fgc.cli.clusters.launch import launch_elsewhere

        return launch_elsewhere(selected, arguments)
    environment = _environment(selected, arguments.devices, is_started=not arguments.dry_run)
    if arguments.resume_anyway:
        environment["FGC_RESUME_ANYWAY"] = "1"
    if not arguments.rehearses:
        processes_of(selected, arguments.devices)  # a wrong number is told before anything is built
    if not arguments.dry_run and (package_folder("torch") is None or package_folder("fgc_runtime") is None):
        raise CannotRun("training needs torch and fgc_runtime: pip install 'fgc[train]'")
    folder = _built(selected, arguments)
    if folder is None:
        return 1
    if arguments.dry_run:
        print(_printed(_command(selected, arguments, folder), selected.folder, environment))
        return 0
    command = (_rehearsal if arguments.rehearses else _command)(selected, arguments, folder)
    return wait(_quietly(command), selected.folder, {**_inherited(), **environment})


def start_of(selected: Selected, arguments: Namespace, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Returns the command that starts a built program, and all of its environment. Raises CannotRun."""
    if words := words_of_run(arguments):
        _require_training_script(selected, words[0])
    environment = _environment(selected, arguments.devices, is_started=True)
    command = _command(selected, arguments, folder)
    is_quiet = is_training_script(selected)  # loads the runtime first, which other programs may not need
    return _quietly(command) if is_quiet else command, {**_inherited(), **environment}


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != _HIDES_PACKAGES}


def _built(selected: Selected, arguments: Namespace) -> Path | None:
    """Returns the folder of the program; a dry run leaves one that `--output` names alone."""
    if not arguments.output:
        return keep_build(selected)
    folder = Path(arguments.output).absolute()
    if arguments.dry_run:
        report(selected.diagnostics)
        return folder
    return folder if write_folder(selected, folder, target="main", force=False) is not None else None


def _command(selected: Selected, arguments: Namespace, folder: Path) -> list[str]:
    words, step = list(arguments.passed_on), slurm_step()
    program = [str(folder / PROGRAM), *_resume_words(arguments), *words_of_run(arguments)]
    is_alone = step is None and processes_of(selected, arguments.devices) == "1"
    if not words and (is_alone or (step is not None and step.has_a_task_for_each_process)):
        return [sys.executable, *program]
    torchrun = Path(sys.executable).with_name("torchrun")
    command = [str(torchrun)] if torchrun.is_file() else [sys.executable, "-P", "-m", "torch.distributed.run"]
    if not any(word.startswith(_OWN_MEETING) for word in words):
        command += ["--standalone"] if step is None else step.meeting_words
    if not any(word.startswith(_OWN_PROCESSES) for word in words):
        command += ["--nproc-per-node", processes_of(selected, arguments.devices)]
    return [*command, *words, *program]


def _resume_words(arguments: Namespace) -> list[str]:
    if arguments.resume is None and not arguments.resume_anyway:
        return []
    path = arguments.resume and str(Path(arguments.resume).absolute())
    return ["--resume", *([path] if path else [])]


def is_training_script(selected: Selected) -> bool:
    """Returns True if the program has the options and the record of a training."""
    graph = selected.compilation.graph
    main = graph[graph.targets["main"]] if "main" in graph.targets else None
    return isinstance(main, Call) and main.callee.text == _SCRIPT


def _require_training_script(selected: Selected, option: str) -> None:
    """Raises CannotRun for a program that would not hear of the option."""
    if not is_training_script(selected):
        raise CannotRun(f"`{selected.name}` has no option `{option}`: its `main` is not a {_SCRIPT}")


def words_of_run(arguments: Namespace) -> list[str]:
    """Returns the program's words for the folder and the name of the run."""
    folder = [] if arguments.output_dir is None else ["--output-dir", str(Path(arguments.output_dir).absolute())]
    return [*folder, *([] if arguments.run_name is None else ["--run-name", arguments.run_name])]


def _quietly(command: Sequence[str]) -> list[str]:
    """Returns the command of the same torchrun, module or program, without a traceback where a signal ends it."""
    launcher, first, *words = command
    starter = [sys.executable, "-P", "-m", "fgc_runtime.start"]
    if first == "-P":  # -m MODULE
        return [*starter, *words[1:]]
    if launcher == sys.executable:
        return [*starter, first, *words]
    return [*starter, "torch.distributed.run", first, *words]


def _rehearsal(selected: Selected, arguments: Namespace, folder: Path) -> list[str]:
    ranks = arguments.ranks
    if ranks is None:
        processes = processes_of(selected, arguments.devices)
        ranks = int(processes) if processes.isdecimal() else max(_FEWEST_TO_SHARE, count_devices())
    if ranks < 1:
        raise CannotRun(f"`--ranks {ranks}`: a training has at least one process")
    module = [sys.executable, "-P", "-m", "fgc_runtime.rehearsal", str(folder / PROGRAM)]
    return [*module, "--ranks", str(ranks), "--format", arguments.format]


def processes_of(selected: Selected, devices: str | None) -> str:
    """Returns how many processes a machine gets, as torchrun takes it. Raises CannotRun."""
    wanted = meta_value(selected.compilation.graph, "nproc_per_node")
    wanted = 1 if wanted is None else wanted
    is_count = isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0
    if not is_count and wanted not in ("gpu", "cpu", "auto"):
        raise CannotRun(
            f"`nproc_per_node` of the target `meta` must be a count, `gpu`, `cpu` or `auto`, not {wanted!r}"
        )
    if devices not in (None, "cpu"):
        count = len(str(devices).split(","))
        if isinstance(wanted, int) and wanted > count:
            raise CannotRun(f"`{selected.name}` has {wanted} processes per node, and `-d {devices}` gives {count}")
        return str(count) if wanted in ("gpu", "auto") else str(wanted)
    return str(wanted)


def _environment(selected: Selected, devices: str | None, *, is_started: bool) -> dict[str, str]:
    visible = None if devices is None else visible_devices(devices, must_exist=is_started)
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    environment |= selected.secrets
    if selected.system_path is not None:
        path = os.pathsep.join(filter(None, (selected.system_path, os.environ.get("PYTHONPATH"))))
        environment["PYTHONPATH"] = path
    return environment


def _printed(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    shown = {name: "..." if is_secret(name) else shlex.quote(value) for name, value in environment.items()}
    settings = [f"{name}={value}" for name, value in shown.items()]
    return f"cd {shlex.quote(str(folder))} && " + " ".join([*settings, shlex.join(command)])


def wait(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> int:
    """Run to the end. A signal to this process reaches the program once, whoever sent it.

    SIGUSR1, with which schedulers announce the end of a job, would kill torchrun: it gets SIGTERM, which it passes on.
    SIGHUP, which a closed terminal sends, perhaps twice, is passed on once; under `nohup` not at all.
    """
    process = subprocess.Popen(command, cwd=folder, env=dict(environment), start_new_session=True)
    received: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP and received:
            return
        received.append(number)
        process.send_signal(signal.SIGTERM if number == signal.SIGUSR1 else number)

    numbers = [number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]
    earlier = {number: signal.signal(number, forward) for number in numbers}
    try:
        code = process.wait()
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
    if received and code != 0:
        if code < 0:  # it was about to start, and has said nothing
            with suppress(OSError):  # the terminal is gone
                print("interrupted", file=sys.stderr)
        return 128 + received[0]
    return code if code >= 0 else 128 - code
