"""List, summarise and plot the logs of trainings.

RUN is the folder of a run, its log, an output folder (its newest run is used), or the name of one of the
configuration's runs, which may be abbreviated. The default is the configuration's newest run. `--all` selects all runs
of all configurations of the project. Active runs can be read, too.
"""

import json
import shutil
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from pathlib import Path

from fgc.cli.arguments import CannotRun, add_variables, selection_group
from fgc.printing import use_color

EXAMPLES = (
    "fgc logs list",
    "fgc logs summary",
    "fgc logs summary --all --format one-line",
    "fgc logs summary RUN OTHER --format md -o summary.md",
    "fgc logs plot                                  the loss, on the terminal",
    "fgc logs plot RUN OTHER --metrics loss,eval_loss --smooth 5 -o loss.png",
    "fgc logs plot --all --metrics eval_loss --x tokens --log-x --log-y -o scaling.svg",
)


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc logs`."""
    _add_output(parser, None)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all logs, with their number of records and the names of their values")
    summary = actions.add_parser("summary", help="progress, duration and results")
    plot = actions.add_parser("plot", help="values of one or more runs, in the terminal or as an image")
    for action in (summary, plot):
        action.add_argument("runs", nargs="*", metavar="RUN", help="which runs (default: the newest one)")
    for action in (listing, summary, plot):
        action.add_argument("--all", action="store_true", help="all runs of all configurations of the project")
        _add_output(action, SUPPRESS)
    listing.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    forms = ("text", "json", "md", "one-line")
    summary.add_argument("--format", choices=forms, default="text", help="how to print (default: text)")
    summary.add_argument("-o", "--output", metavar="FILE", help="write to this file")
    _add_view(plot)


def _add_view(plot: ArgumentParser) -> None:
    """Adds the arguments that choose what is drawn, and how."""
    add = plot.add_argument
    add("--metrics", metavar="NAMES", help="such as loss,eval_loss,learning_rate (default: loss and eval_loss)")
    add("--x", choices=("step", "tokens", "time", "epoch"), default="step", help="the axis (default: step)")
    add("--smooth", type=int, default=1, metavar="N", help="average over N records")
    add("--log-x", action="store_true", help="use a logarithmic axis")
    add("--log-y", "--log-scale", action="store_true", help="use a logarithmic scale for the values")
    add("--title", metavar="TEXT", help="title of the plot")
    add("-o", "--output", metavar="FILE", help="write a .png, .svg or .pdf (needs matplotlib)")


def _add_output(parser: ArgumentParser, default: str | None) -> None:
    """The arguments that choose the output folder, before and behind the action."""
    add_variables(parser, default)
    selection_group(parser).add_argument(
        "--folder", metavar="OUTPUT", default=default, help="output folder (default: the configuration's)"
    )


def run(arguments: Namespace) -> int:
    """Runs the action. Returns 2 if the log does not exist."""
    from fgc.cli.select import report  # the compiler's stages: 0.15 s
    from fgc.workspace import ProjectError

    actions = {"list": _list, "summary": _summary, "plot": _plot}
    try:
        return actions[arguments.action](arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    except ProjectError as error:
        report(error.diagnostics)
        return 2


def _list(arguments: Namespace) -> int:
    from fgc.cli.logs.choosing import listed_logs
    from fgc.workspace import display_path

    logs = listed_logs(arguments)
    if arguments.format == "json":
        rows = [
            {"run": log.name, "log": str(log.path), "records": len(log.records), "metrics": log.metrics} for log in logs
        ]
        print(json.dumps(rows, indent=2))
        return 0
    if not logs:
        print("there are no logs")
    for log in logs:
        print(f"{log.name}  {len(log.records)} records  {display_path(log.path)}")
        print(f"  {', '.join(log.metrics) or 'no numbers yet'}")
    return 0


def _summary(arguments: Namespace) -> int:
    from fgc.cli.logs.choosing import chosen_logs
    from fgc.cli.logs.summary import json_of, lines_of, markdown_of, text_of

    forms = {"text": text_of, "json": json_of, "md": markdown_of, "one-line": lines_of}
    text = forms[arguments.format](chosen_logs(arguments))
    if arguments.output:
        Path(arguments.output).write_text(text + "\n", encoding="utf-8")
        print(f"wrote {arguments.output}", file=sys.stderr)
        return 0
    print(text)
    return 0


def _plot(arguments: Namespace) -> int:
    from fgc.cli.logs.choosing import chosen_logs
    from fgc.cli.logs.plots import View, draw, panels, terminal_text

    if arguments.smooth < 1:
        raise CannotRun(f"`--smooth {arguments.smooth}` must be at least 1")
    logs = chosen_logs(arguments)
    view = View(arguments.x, arguments.smooth, arguments.log_x, arguments.log_y, arguments.title)
    names = [name.strip() for name in (arguments.metrics or "").split(",") if name.strip()]
    if not names:
        known = {name for log in logs for name in log.metrics}
        names = [name for name in ("loss", "eval_loss") if name in known] or ["loss"]
    found = panels(logs, names, view)
    if arguments.output:
        draw(found, view, Path(arguments.output))
        print(f"wrote {arguments.output}")
        return 0
    size = shutil.get_terminal_size((80, 24))
    height = max(6, min(16, (size.lines - 4) // len(found) - 3))
    print(terminal_text(found, view, width=size.columns, height=height, has_color=use_color(sys.stdout)))
    return 0
