"""A program to a run of it in a process of its own, with other arguments, perhaps killed at a point that was chosen.

Most processes are forked from this one, which has loaded torch and transformers and does nothing else: a run costs what
its steps cost. Each draws its random state anew, or a program without a seed would look like one with a seed. A new
interpreter has another order of sets too: the run that the others are compared with has one.
"""

import json
import os
import random
import runpy
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy
import torch

from fgc_runtime.verify.points import Points


@dataclass(frozen=True, slots=True)
class Outcome:
    """Says how a run ended."""

    kinds: list[str]  # of the points that it passed, where it came to its end
    killed: str | None  # where, if it was killed at a point
    failed: str | None  # the end of its output, if it failed by itself


def run_program(
    program: Path,
    folder: Path,
    arguments: Mapping[str, object],
    *,
    resume: bool,
    fatal: int | None,
    new_interpreter: bool = False,
) -> Outcome:
    """Run the program into `folder`, where `output.txt` keeps what it prints. Raises nothing that the program does."""
    folder.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    arguments = {**arguments, "output_dir": str(folder)}
    if new_interpreter:
        call = json.dumps([str(program), str(folder), arguments, resume, fatal, writer])
        process = subprocess.Popen([sys.executable, "-P", "-m", __name__, call], pass_fds=[writer]).pid
    else:
        process = os.fork()
    if process == 0:
        os.close(reader)
        _draw_anew()
        _be_the_program(program, folder, arguments, resume, fatal, writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        said = pipe.read()
    _, status = os.waitpid(process, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return Outcome(json.loads(said), None, None)
    if said:
        return Outcome([], said, None)
    output = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
    return Outcome([], None, f"exit code {code}\n{output[-2000:]}")


def _draw_anew() -> None:
    random.seed()
    numpy.random.seed()
    torch.seed()


def _be_the_program(
    program: Path, folder: Path, arguments: Mapping[str, object], resume: bool, fatal: int | None, writer: int
) -> NoReturn:
    code = 1
    try:
        output = os.open(folder / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ["FGC_TRAINING_ARGUMENTS"] = json.dumps(arguments)
        sys.argv = [str(program), *(["--resume"] if resume else [])]
        sys.path.insert(0, str(program.parent))
        points = Points(folder, fatal, lambda where: _say(writer, where))
        points.watch()
        try:
            runpy.run_path(str(program), run_name="__main__")
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if code == 0:
            _say(writer, json.dumps(points.kinds))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _say(writer: int, text: str) -> None:
    with open(writer, "w", encoding="utf-8", closefd=False) as pipe:  # a descriptor, and long texts
        pipe.write(text)


if __name__ == "__main__":
    _program, _folder, *_rest = json.loads(sys.argv[1])
    _be_the_program(Path(_program), Path(_folder), *_rest)
