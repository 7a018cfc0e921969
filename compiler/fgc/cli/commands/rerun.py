"""Repeat a run exactly: its program, from the run's own folder, with the same arguments.

Later edits of templates have no effect. The program runs in the same folder, with as many processes, and writes to the
same output folder (or `--output`). If the program or the data has changed, it refuses to start. The exit code is that
of the program.
"""

import json
import os
import shlex
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fgc.cli.arguments import CannotRun
from fgc.cli.words import SECRET, shell_word

if TYPE_CHECKING:
    from fgc.cli.runs import Run

EXAMPLES = (
    "fgc rerun output_models/tiny/runs/train_2026-11-24T13-40-00",
    "fgc rerun RUN --output output_models/again --dry-run",
)
USES_A_PROJECT = False


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc rerun`."""
    parser.add_argument("run", metavar="RUN", help="the folder of a run, below output_models/<model>/runs/")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="write here instead of the run's output folder")
    parser.add_argument("--in", dest="place", metavar="FOLDER", help="start the program in this folder")
    parser.add_argument("--anyway", action="store_true", help="run even if the data has changed")
    parser.add_argument("--dry-run", action="store_true", help="print the command; start nothing")


def run(arguments: Namespace) -> int:
    """Start it and wait; 2 if it cannot be repeated."""
    from fgc.cli.launching import wait
    from fgc.cli.runs import changed_versions, load_run

    try:
        repeated = load_run(Path(arguments.run))
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    command, environment = _command(repeated, arguments), _environment(repeated, arguments)
    folder = Path(arguments.place or repeated.record["folder"])
    if arguments.dry_run:
        settings = [f"{name}={shell_word(value)}" for name, value in environment.items()]
        print(f"cd {shlex.quote(str(folder))} && " + " ".join([*settings, *map(shell_word, command)]))
        return 0
    secrets = dict.fromkeys(match[1] for word in (*command, *environment.values()) for match in SECRET.finditer(word))
    if lacking := [name for name in secrets if not os.environ.get(name)]:
        print(f"fgc: this run got secrets, which its record leaves out: set {' and '.join(lacking)}", file=sys.stderr)
        return 2
    command = [SECRET.sub(lambda match: os.environ[match[1]], word) for word in command]
    environment = {name: _filled(value) for name, value in environment.items()}
    for change in changed_versions(repeated):
        print(f"fgc: {change}: numbers may differ in their last bits", file=sys.stderr)
    return wait(command, folder, {**os.environ, **environment})


def _filled(setting: str) -> str:
    """Returns a setting with the secrets in its JSON texts filled in."""
    return SECRET.sub(lambda match: json.dumps(os.environ[match[1]])[1:-1], setting)


def _command(run: "Run", arguments: Namespace) -> list[str]:
    program, size = (run.folder / run.record["program"]).absolute(), run.record["world_size"]
    torchrun = ["-P", "-m", "fgc_runtime.start", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    return [sys.executable, *(torchrun if size > 1 else []), str(program), *_words(run, arguments)]


def _words(run: "Run", arguments: Namespace) -> list[str]:
    """Returns the words of the first run, without the output folder if another one is given."""
    words: list[str] = run.record["words"]
    if not arguments.output:
        return words
    pairs = zip(["", *words], words, strict=False)
    return [word for before, word in pairs if "--output-dir" not in (before, word.partition("=")[0])]


def _environment(run: "Run", arguments: Namespace) -> dict[str, str]:
    environment = dict(run.record["environment"])
    if arguments.output:
        settings = json.loads(environment.get("FGC_TRAINING_ARGUMENTS", "{}"))
        output = {"output_dir": str(Path(arguments.output).absolute())}
        environment["FGC_TRAINING_ARGUMENTS"] = json.dumps({**settings, **output})
    if not arguments.anyway:
        environment["FGC_SAME_AS"] = str(run.folder.absolute())
    return environment
