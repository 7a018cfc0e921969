"""Print the graph of objects that a configuration constructs.

`json` is the documented form by which other tools compare graphs. `dot` is for Graphviz; `svg` needs no other program.
Text shows the types of results if the signatures state them. `--after PASS` shows the graph after one of the passes
before code generation: prune, share, fold-texts, fold-calls, and with types: infer. JSON without `--types` does not
read Python files or check that callables exist; `fgc check` does.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping

from fgc.cli.arguments import add_selection
from fgc.cli.guard import with_selection
from fgc.cli.select import Selected, report
from fgc.ir import Graph, NodeId, graph_to_json, graph_to_text
from fgc.passes import PASSES, infer, steps, verify_types

EXAMPLES = (
    "fgc graph config.yaml",
    "fgc graph config.yaml --format svg > objects.svg",
    "fgc graph config.yaml --format json --types",
    "fgc graph config.yaml --after fold-calls",
)

_INFER = "infer"  # runs last, and adds types beside the nodes


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc graph`."""
    add_selection(parser)
    forms = ("text", "json", "dot", "svg")
    parser.add_argument("--format", choices=forms, default="text", help="how to print (default: text)")
    names = [*PASSES, _INFER]
    parser.add_argument("--after", choices=names, metavar="PASS", help=f"after a pass: {', '.join(names)}")
    parser.add_argument("--types", action="store_true", help="also the types of objects in JSON, as far as known")


def run(arguments: Namespace) -> int:
    """Print the graph; 1 if a finding is an error."""

    wants_types = arguments.format != "json" or arguments.types or arguments.after == _INFER

    def show(selected: Selected) -> int:
        graph = _after(selected.compilation.graph, arguments.after)
        types = _types(graph, selected) if wants_types and not selected.has_errors else {}
        sys.stdout.write(_shown(graph, types, arguments.format))
        sys.stdout.flush()
        report(selected.diagnostics)
        return int(selected.has_errors)

    return with_selection(arguments, show, checks_calls=wants_types)


def _after(graph: Graph, name: str | None) -> Graph:
    """The graph after a pass, and after all before it."""
    for done, after in steps(graph) if name is not None else ():
        graph = after
        if done == name:
            break
    return graph


def _types(graph: Graph, selected: Selected) -> dict[NodeId, str]:
    """Returns the result types of calls, unless the callee's name is the type."""
    found = infer(graph, selected.python_files)
    verify_types(graph, found)
    return {node: " | ".join(item.name for item in types) for node, types in found.items()}


def _shown(graph: Graph, types: Mapping[NodeId, str], form: str) -> str:
    if form == "text":
        return graph_to_text(graph, types) + "\n"
    if form == "json":
        return graph_to_json(graph, types) + "\n"
    from fgc.cli.graph_drawing import as_dot, as_svg, draw

    lines = (as_dot if form == "dot" else as_svg)(draw(graph, types))
    return "".join(f"{line}\n" for line in lines)
