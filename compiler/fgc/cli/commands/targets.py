"""List the objects that a configuration can construct.

Shows every target with its callable and its place in the templates.
"""

import json
import sys
from argparse import ArgumentParser, Namespace

from fgc.cli.arguments import add_selection
from fgc.cli.guard import with_selection
from fgc.cli.layout import table, terminal_columns
from fgc.cli.select import Selected, report
from fgc.ir import target_kind
from fgc.printing import use_color
from fgc.text import Span

EXAMPLES = ("fgc targets config.yaml", "fgc targets config.yaml --format json")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc targets`."""
    add_selection(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")


def run(arguments: Namespace) -> int:
    """List the targets; 1 if a finding is an error."""

    def show(selected: Selected) -> int:
        graph = selected.compilation.graph
        rows = [
            (name, target_kind(graph[node]), graph.target_origins[name].span) for name, node in graph.targets.items()
        ]
        if arguments.format == "json":
            print(json.dumps([_values(*row) for row in rows], indent=2, ensure_ascii=False))
        else:
            cells = [(name, kind, str(span)) for name, kind, span in rows]
            print("".join(f"{line}\n" for line in table(cells, terminal_columns(), use_color(sys.stdout))), end="")
        report(selected.diagnostics)
        return int(selected.has_errors)

    return with_selection(arguments, show, checks_calls=False)


def _values(name: str, words: str, span: Span) -> dict[str, object]:
    kind, _, callee = words.partition(" ")
    place = {"file": span.source.display_name, "line": span.first.line, "column": span.first.column}
    return {"target": name, "kind": kind, "callable": callee or None, "place": place}
