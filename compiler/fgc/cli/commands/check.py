"""Find mistakes in a configuration without importing or running anything.

Exit code 0 if there are no errors, 1 if there are, 2 if nothing could be checked.
"""

from argparse import ArgumentParser, Namespace

from fgc.cli.guard import with_selection
from fgc.cli.select import Selected, add_selection, report
from fgc.diagnostics import render_json

EXAMPLES = ("fgc check config.yaml", "fgc check config.yaml --format json", "fgc -p PROJECT -t CONFIG check")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc check`."""
    add_selection(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: Namespace) -> int:
    """Print all findings; 1 if one is an error."""

    def show(selected: Selected) -> int:
        if arguments.format == "json":
            print(render_json(selected.diagnostics, [selected.name]))
        else:
            report(selected.diagnostics)
            if not selected.diagnostics:
                print(f"{selected.name}: no findings")
        return int(selected.has_errors)

    return with_selection(arguments, show)
