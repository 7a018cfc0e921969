"""Print a configuration's YAML text with all inheritance resolved.

If there are findings, they are printed to standard error, and the text that could be resolved is still printed.
"""

import sys
from argparse import ArgumentParser, Namespace

from fgc.cli.arguments import CannotRun, add_cache_switch, add_selection, variables_of
from fgc.cli.memo import PrintedAnswer, Questions, answer
from fgc.printing import use_color

EXAMPLES = ("fgc pp config.yaml", "fgc pp config.yaml -I templates -D max_steps=100", "fgc -p PROJECT -t CONFIG pp")
TAKES_DYNAMIC_ARGUMENTS = True


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc pp`."""
    add_selection(parser)
    add_cache_switch(parser)


def run(arguments: Namespace) -> int:
    """Print the text; 1 if a finding is an error."""
    try:
        variables = variables_of(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    has_color = use_color(sys.stderr)
    chosen = [arguments.file, arguments.project, arguments.config, arguments.include, variables, arguments.dynamic]
    question = ["pp", *chosen, has_color]
    text = answer(question, not arguments.no_cache, lambda questions: _compute(arguments, questions, has_color))
    code = text.give()
    if sys.stdout.isatty() and text.out and not text.out.endswith("\n"):
        print()  # a template's last newline is not part of its text, but a terminal wants it
    return code


def _compute(arguments: Namespace, questions: Questions, has_color: bool) -> PrintedAnswer:
    from fgc.cli.guard import selection_answer  # the compiler's stages: 0.15 s

    return selection_answer(arguments, questions, has_color, lambda selected: selected.compilation.document.text)
