"""The options that a configuration declares, for the help of a command and for completion.

Says nothing of what cannot be read: whoever asks for help may not have named a configuration yet.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from io import StringIO

from fgc.cli.arguments import CannotRun
from fgc.cli.dynamic import add_option
from fgc.cli.select import select
from fgc.cli.words import split_dynamic
from fgc.pipeline.dynamic import DynamicArgument, dynamic_arguments
from fgc.workspace import ProjectError

_HELP = ("-h", "--help")


def add_declared(parser: ArgumentParser, words: Sequence[str], options: Namespace) -> None:
    """Show the options of the configuration that `words` name in the help of a command, and of its action."""
    name, declared = declared_by(parser, words, options)
    if not declared:
        return
    for shown in (parser, *_actions(parser, words)):
        group = shown.add_argument_group(f"options of {name}")
        for argument in declared:
            if not any(spelt in shown._option_string_actions for spelt in argument.names):
                add_option(group, argument)


def declared_by(
    parser: ArgumentParser, words: Sequence[str], options: Namespace
) -> tuple[str, tuple[DynamicArgument, ...]]:
    """The configuration that `words` behind a command name, and the options that it declares; none on any error."""
    own, _ = split_dynamic(parser, [word for word in words if word not in _HELP])
    try:
        with redirect_stderr(StringIO()):
            arguments, _ = parser.parse_known_args(own, Namespace(**vars(options)))
        paths = getattr(arguments, "paths", None)
        chosen = {"file": paths[0] if paths else None, **vars(arguments), "dynamic": None}
        selected = select(Namespace(**chosen), checks_calls=False)
    except (SystemExit, CannotRun, ProjectError, AttributeError, OSError):
        return "", ()
    return selected.name, dynamic_arguments(selected.compilation.graph).value


def _actions(parser: ArgumentParser, words: Sequence[str]) -> Iterator[ArgumentParser]:
    for action in parser._actions:
        for name, inner in action.choices.items() if isinstance(action.choices, dict) else ():
            if name in words:
                yield inner
