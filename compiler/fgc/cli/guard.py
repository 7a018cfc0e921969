"""Tells what can go wrong before a command has anything to show: in a line, exit code 2."""

import sys
from argparse import Namespace
from collections.abc import Callable

from fgc.cli.arguments import CannotRun
from fgc.cli.memo import PrintedAnswer, Questions
from fgc.cli.select import Selected, hidden_options, select
from fgc.diagnostics import render_text, summary
from fgc.printing import use_color
from fgc.workspace import ProjectError


def with_selection(arguments: Namespace, use: Callable[[Selected], int], *, checks_calls: bool = True) -> int:
    """Compile what the command line names and use it."""
    try:
        selected = select(arguments, checks_calls=checks_calls)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    except ProjectError as error:
        print(render_text(error.diagnostics, use_color=use_color(sys.stderr)), file=sys.stderr)
        return 2
    print(hidden_options(arguments, selected), end="", file=sys.stderr)
    return use(selected)


def selection_answer(
    arguments: Namespace, questions: Questions, has_color: bool, show: Callable[[Selected], str]
) -> PrintedAnswer:
    """Compile what the command line names; what `show` makes of its templates, with the findings in them."""
    try:
        selected = select(arguments, questions, checks_calls=False)
    except CannotRun as problem:
        return PrintedAnswer("", f"fgc: {problem}\n", 2)
    except ProjectError as error:
        return PrintedAnswer("", render_text(error.diagnostics, use_color=has_color) + "\n", 2)
    found = selected.diagnostics
    text = f"{render_text(found, use_color=has_color)}\n{summary(found)}\n" if found else ""
    return PrintedAnswer(show(selected), hidden_options(arguments, selected) + text, int(selected.has_errors))
