"""A program to a run of it in a process of its own, with other arguments, perhaps killed at a point that was chosen.

Processes are forked from this one, which has loaded torch and transformers and does nothing else: a run costs what its
steps cost.
"""

import json
import os
import runpy
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from fgc_runtime.verify.points import Points


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    kinds: list[str]  # of the points that it passed, where it came to its end
    killed: str | None  # where, if it was killed at a point
    failed: str | None  # the end of its output, if it failed by itself


def run_program(
    program: Path, folder: Path, arguments: Mapping[str, object], *, resume: bool, fatal: int | None
) -> Outcome:
    """Run the program into `folder`, where `output.txt` keeps what it prints. Raises nothing that the program does."""
    folder.mkdir(parents=True, exist_ok=True)
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reader)
        _be_the_program(program, folder, {**arguments, "output_dir": str(folder)}, resume, fatal, writer)
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
