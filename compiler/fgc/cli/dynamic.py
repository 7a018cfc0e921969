"""Words of the command line to template variables, by the options that a configuration declares in `dynamic_args`."""

import os
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, NoReturn

from fgc.cli.arguments import CannotRun
from fgc.diagnostics import did_you_mean
from fgc.diagnostics.nearest import misspelt
from fgc.pipeline.dynamic import DynamicArgument

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def dynamic_values(
    name: str,
    declared: Iterable[DynamicArgument],
    words: Sequence[str],
    own_options: Sequence[str] = (),
    given: Container[str] = (),
) -> dict[str, Any]:
    """The variables that `words` give. Raises CannotRun for an option that the configuration `name` does not have.

    `own_options` are those of the command, which may have been meant; `given` are variables that need no option.
    """
    arguments = list(declared)
    parser = _Parser(add_help=False, allow_abbrev=False, argument_default=SUPPRESS)
    for argument in arguments:
        add_option(parser, argument, is_required=argument.is_required and argument.variable not in given)
    values, rest = parser.parse_known_args(words)
    for word in rest:
        option = word.partition("=")[0]
        known = [spelt for argument in arguments for spelt in argument.names]
        if not option.startswith("-"):
            raise CannotRun(f"`{word}` is not the value of an option; name the configuration before its options")
        slip = misspelt(option, own_options)
        help = f"did you mean `{slip}`?" if slip else did_you_mean(option, known)
        help = help or f"its options are: {', '.join(known) or 'none'}"
        raise CannotRun(f"`{name}` has no option `{option}`; {help}")
    return {variable: value for variable, value in vars(values).items() if value is not None}  # `--x` without a `const`


class _Parser(ArgumentParser):
    """Raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise CannotRun(message)


def add_option(parser: Any, argument: DynamicArgument, *, is_required: bool = False) -> None:
    """Declare an option to argparse."""
    help = (argument.help or "").replace("%", "%%")
    options: dict[str, Any] = {"dest": argument.variable, "action": argument.action, "help": help}
    if is_required:
        options["required"] = True
    if argument.action in ("store", "append", "extend"):
        options |= {"type": _CONVERTERS[argument.type], "nargs": argument.nargs, "metavar": argument.metavar}
        options["choices"] = list(argument.choices) or None
    if argument.action.endswith("_const") or argument.nargs == "?":
        options["const"] = argument.const
    parser.add_argument(*argument.names, **options)


def _boolean(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError(text)
    return _TRUTH[text.lower()]


_boolean.__name__ = "true or false"  # what argparse says was expected


def _path(text: str) -> str:
    """An absolute path: the program starts in the project's folder, not in this one."""
    return os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 -- keeps `..` and links as they are named


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": _boolean,
    "path": _path,
}
