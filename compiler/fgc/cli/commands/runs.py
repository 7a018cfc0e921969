"""List the runs of a configuration's output folder, with their progress and results.

A `finished` run has completed all its steps; a `stopped` run was ended early by a signal, `fgc control` or a callback.
The process of a `killed` run ended without recording a status. `fgc rerun` repeats a run, `fgc control` controls an
active one.

`fgc runs prune` lists the runs that it would remove, and removes them with `--yes`. It never removes an active run, the
best run, a run to which a link points, the run whose model is in the output folder, or a run that another one has
resumed.
"""

import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fgc.cli.arguments import CannotRun, add_variables

EXAMPLES = (
    "fgc runs",
    "fgc -t CONFIG runs --format json",
    "fgc runs --sort best --disk",
    "fgc runs --watch                            a table that follows those that run",
    "fgc runs --folder output_models/tiny --format csv > runs.csv",
    "fgc runs prune --keep 5                     what would go",
    "fgc runs prune --state failed,killed --older-than 7 --yes",
)


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc runs`."""
    add_variables(parser)
    add = parser.add_argument
    add("action", nargs="?", choices=("list", "prune"), default="list", help="list them (default), or remove some")
    add("--folder", metavar="OUTPUT", help="output folder (default: the configuration's)")
    add(
        "--sort",
        metavar="COLUMN",
        help="run, state, step, loss, last, best, started or size; `-best` for descending order",
    )
    add("--disk", action="store_true", help="show the disk space of each run")
    add("--watch", nargs="?", type=float, const=2.0, metavar="S", help="print again every S seconds (default: 2)")
    add("--format", choices=("text", "json", "csv"), default="text", help="how to print (default: text)")
    pruning = parser.add_argument_group("prune")
    pruning.add_argument("--keep", type=int, metavar="N", help="keep the N newest")
    pruning.add_argument("--older-than", type=float, metavar="DAYS", help="only runs that ended at least DAYS ago")
    pruning.add_argument("--state", metavar="STATES", help="only runs with these states, such as failed,killed")
    pruning.add_argument("--yes", action="store_true", help="remove them; without it, only list them")


def run(arguments: Namespace) -> int:
    """Prints runs, or removes some. Returns 2 if the output folder does not exist."""
    from fgc.cli.outputs import output_folder  # the compiler's stages: 0.15 s
    from fgc.cli.select import report
    from fgc.workspace import ProjectError

    arguments.file = None
    try:
        output = Path(arguments.folder) if arguments.folder else output_folder(arguments)
        if arguments.action == "prune":
            return _prune(output, arguments)
        return _list(output, arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    except ProjectError as error:
        report(error.diagnostics)
        return 2


def _list(output: Path, arguments: Namespace) -> int:
    if arguments.watch is None:
        print(_text(output, arguments))
        return 0
    if arguments.watch <= 0:
        raise CannotRun(f"`--watch {arguments.watch:g}` must be above 0")
    screen = sys.__stdout__ if sys.stdout.isatty() else None
    try:
        while True:
            text = _text(output, arguments)
            if screen is not None:
                screen.write("\x1b[H\x1b[J")
            print(text, flush=True)
            time.sleep(arguments.watch)
    except KeyboardInterrupt:
        return 0


def _text(output: Path, arguments: Namespace) -> str:
    from fgc.cli.outputs import readable_size
    from fgc.cli.run_tables import csv_text, json_text, rows_of, size_of, sorted_rows, table_text
    from fgc.cli.runs import run_of_model
    from fgc.workspace import display_path

    has_size = arguments.disk or arguments.format == "csv" or (arguments.sort or "").endswith("size")
    rows = rows_of(output, with_size=has_size)
    rows = sorted_rows(rows, arguments.sort) if arguments.sort else rows
    if arguments.format != "text":
        return {"json": json_text, "csv": csv_text}[arguments.format](rows)
    sweeps = sorted(path.name for path in (output / "sweeps").glob("*") if path.is_dir())
    of_sweeps = [f"sweeps: {', '.join(sweeps)}; `fgc sweep show NAME`"] if sweeps else []
    if not rows:
        return "\n".join([f"no runs in {display_path(output)}", *of_sweeps])
    lines = [table_text(rows, with_size=has_size)]
    of_model = run_of_model(output)
    notes = [f"the model in {display_path(output)} is that of {of_model}"] if of_model is not None else []
    notes += [f"{display_path(output)} holds {readable_size(size_of(output))}"] if arguments.disk else []
    return "\n".join([*lines, *([""] if notes or of_sweeps else []), *notes, *of_sweeps])


def _prune(output: Path, arguments: Namespace) -> int:
    from fgc.cli.run_pruning import decide, decision_json, decision_text, remove, wish_of

    wish = wish_of(arguments.keep, arguments.older_than, arguments.state)
    if arguments.watch is not None or arguments.format == "csv":
        raise CannotRun("`fgc runs prune` has neither `--watch` nor `--format csv`")
    decisions = decide(output, wish)
    if arguments.yes:
        remove(output, decisions)
    print(decision_json(decisions) if arguments.format == "json" else decision_text(decisions, is_done=arguments.yes))
    return 0
