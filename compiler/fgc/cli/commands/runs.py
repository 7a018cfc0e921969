"""List the runs of a configuration's output folder: state, step, loss.

A run whose process is gone without a word is `killed`. `fgc rerun` repeats one, `fgc control` steers those that run.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fgc.cli.arguments import CannotRun, add_variables

if TYPE_CHECKING:
    from fgc.cli.runs import Run

EXAMPLES = ("fgc runs", "fgc -t CONFIG runs --format json", "fgc runs --folder output_models/tiny")
_COLUMNS = ("RUN", "STATE", "STEP", "LOSS", "STARTED")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc runs`."""
    add_variables(parser)
    parser.add_argument("--folder", metavar="OUTPUT", help="an output folder, in place of the configuration's")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: Namespace) -> int:
    """Print them; 2 if there is no such output folder."""
    from fgc.cli.outputs import output_folder  # the compiler's stages: 0.15 s
    from fgc.cli.runs import runs_in
    from fgc.cli.select import report
    from fgc.workspace import ProjectError, display_path

    arguments.file = None
    try:
        output = Path(arguments.folder) if arguments.folder else output_folder(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    except ProjectError as error:
        report(error.diagnostics)
        return 2
    found = runs_in(output)
    if arguments.format == "json":
        print(json.dumps([_values(run) for run in found], indent=2))
        return 0
    if not found:
        print(f"no runs in {display_path(output)}")
        return 0
    rows = [_COLUMNS, *(_row(run) for run in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _values(run: "Run") -> dict[str, object]:
    last = run.last
    times = {name: run.record.get(name) for name in ("started_at", "ended_at")}
    numbers = {"step": last.get("global_step"), "loss": last.get("loss")}
    return {"folder": str(run.folder), "state": run.state, **numbers, **times}


def _row(run: "Run") -> tuple[str, ...]:
    last = run.last
    loss = last.get("loss")
    step = last.get("global_step")
    return (
        run.folder.name,
        run.state,
        "" if step is None else str(step),
        "" if loss is None else f"{loss:.4f}",
        str(run.record.get("started_at", "")),
    )
