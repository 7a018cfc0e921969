"""Print the graph of objects that a configuration constructs.

`--format json` prints the documented form by which other tools compare graphs.
"""

from argparse import ArgumentParser, Namespace

from fgc.cli.arguments import add_selection
from fgc.cli.guard import with_selection
from fgc.cli.select import Selected, report
from fgc.ir import graph_to_json, graph_to_text

EXAMPLES = ("fgc graph config.yaml", "fgc graph config.yaml --format json")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc graph`."""
    add_selection(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: Namespace) -> int:
    """Print the graph; 1 if a finding is an error."""

    def show(selected: Selected) -> int:
        graph = selected.compilation.graph
        print(graph_to_json(graph) if arguments.format == "json" else graph_to_text(graph))
        report(selected.diagnostics)
        return int(selected.has_errors)

    return with_selection(arguments, show)
