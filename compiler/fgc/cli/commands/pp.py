"""Print the YAML text that a configuration becomes.

What could be made is printed also where there are findings; they go to standard error.
"""

import sys
from argparse import ArgumentParser, Namespace

from fgc.cli.guard import with_selection
from fgc.cli.select import Selected, add_selection, report

EXAMPLES = ("fgc pp config.yaml", "fgc pp config.yaml -I templates -D max_steps=100", "fgc -p PROJECT -t CONFIG pp")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc pp`."""
    add_selection(parser)


def run(arguments: Namespace) -> int:
    """Print the text; 1 if a finding is an error."""
    return with_selection(arguments, _print)


def _print(selected: Selected) -> int:
    sys.stdout.write(selected.compilation.document.text)
    sys.stdout.flush()
    report(selected.diagnostics)
    return int(selected.has_errors)
