"""What can go wrong before a command has anything to show: said in a line, exit code 2."""

import sys
from argparse import Namespace
from collections.abc import Callable

from fgc.cli.select import CannotRun, Selected, report, select
from fgc.workspace import ProjectError


def with_selection(arguments: Namespace, use: Callable[[Selected], int]) -> int:
    """Compile what the command line names and use it."""
    try:
        selected = select(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    except ProjectError as error:
        report(error.diagnostics)
        return 2
    return use(selected)
