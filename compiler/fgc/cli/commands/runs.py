"""List the runs of a configuration's output folder: what each trained, how far it came, how good it got.

`finished` has made all its steps; `stopped` was told to end before, by a signal, `fgc control` or a callback. A run
whose process is gone without a word is `killed`. `fgc rerun` repeats one, `fgc control` steers those that run.
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
_COLUMNS = ("RUN", "CONFIGURATION", "STATE", "STEP", "LOSS", "BEST", "OPTIONS")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc runs`."""
    add_variables(parser)
    parser.add_argument("--folder", metavar="OUTPUT", help="an output folder, in place of the configuration's")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: Namespace) -> int:
    """Print them; 2 if there is no such output folder."""
    from fgc.cli.outputs import output_folder  # the compiler's stages: 0.15 s
    from fgc.cli.runs import run_of_model, runs_in
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
    found, of_model = runs_in(output), run_of_model(output)
    if arguments.format == "json":
        print(json.dumps([_values(run, of_model) for run in found], indent=2))
        return 0
    if not found:
        print(f"no runs in {display_path(output)}")
        return 0
    rows = [_COLUMNS, *(_row(run) for run in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if of_model is not None:
        print(f"\nthe model in {display_path(output)} is that of {of_model}")
    return 0


def _values(run: "Run", of_model: str | None) -> dict[str, object]:
    last, best, record = run.last, run.best, run.record
    names = ("configuration", "started_at", "ended_at", "max_steps", "reason", "resumed_from", "repository")
    return {
        "folder": str(run.folder),
        "state": run.state,
        "step": last.get("global_step", record.get("step")),
        "loss": last.get("loss"),
        "best": {"metric": best[0], "value": best[1]} if best else None,
        "options": record.get("words"),
        "is_model": run.folder.name == of_model,
        **{name: record.get(name) for name in names},
    }


def _row(run: "Run") -> tuple[str, ...]:
    loss, best = run.last.get("loss"), run.best
    return (
        run.folder.name,
        str(run.record.get("configuration") or ""),
        run.state,
        run.steps,
        f"{loss:.4f}" if isinstance(loss, (int, float)) else "",
        f"{best[0]} {best[1]:.4f}" if best else "",
        run.options,
    )
