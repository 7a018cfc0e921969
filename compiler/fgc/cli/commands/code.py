"""Print the Python program that is generated from a configuration.

With `--target`, prints a module with a function `construct` that returns the target.
"""

import sys
from argparse import ArgumentParser, Namespace

from fgc.cli.arguments import add_selection, add_settings
from fgc.cli.guard import with_selection
from fgc.cli.select import Selected, report

EXAMPLES = ("fgc code config.yaml", "fgc code config.yaml --target model --target tokenizer")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc code`."""
    add_selection(parser)
    add_settings(parser)
    parser.add_argument("--target", action="append", metavar="NAME", help="what to construct (default: main, or all)")


def run(arguments: Namespace) -> int:
    """Print the program; 1 if a finding is an error."""

    def show(selected: Selected) -> int:
        from fgc.pipeline.program import make_module, make_script  # the emitter: 0.4 s

        if selected.has_errors:
            report(selected.diagnostics)
            return 1
        graph, surroundings = selected.compilation.graph, selected.surroundings
        if arguments.target or "main" not in graph.targets:
            outcome = make_module(graph, arguments.target or list(graph.targets), surroundings)
        else:
            outcome = make_script(graph, "main", surroundings)
        if outcome.value is not None:
            sys.stdout.write(outcome.value.text)
        report(selected.diagnostics_with(outcome.diagnostics))
        return int(outcome.value is None)

    return with_selection(arguments, show)
