"""Command-line arguments that several commands share, and how they are read; loads no stage of the compiler."""

from argparse import ArgumentParser, BooleanOptionalAction, Namespace, _ArgumentGroup
from pathlib import Path
from typing import Any

from fgc.reading import read_json

OF_TRAININGS = ("--output-dir", "--run-name")  # options of every training program; a configuration may declare its own


class CannotRun(Exception):
    """A wrong command line, or a named file that cannot be read: exit code 2."""


def selection_group(parser: ArgumentParser) -> _ArgumentGroup:
    """Returns the group of a command's help with the arguments that choose a configuration."""
    title = "which configuration"
    found = next((group for group in parser._action_groups if group.title == title), None)
    return found or parser.add_argument_group(title)


def add_selection(parser: ArgumentParser) -> None:
    """Adds the arguments that choose a configuration."""
    selection_group(parser).add_argument(
        "file", nargs="?", metavar="FILE", help="configuration file (default: the project's configuration)"
    )
    add_variables(parser)


def add_variables(parser: ArgumentParser, default: Any = None) -> None:
    """Adds the arguments for a search path and template variables, with `default` as in argparse."""
    many = [] if default is None else default
    add = selection_group(parser).add_argument
    add(
        "-I",
        action="append",
        default=many,
        dest="include",
        metavar="FOLDER",
        help="also search this folder for templates; may be repeated",
    )
    add(
        "-D",
        action="append",
        default=many,
        dest="define",
        metavar="NAME=VALUE",
        help="set a template variable; may be repeated",
    )
    add("--vars", metavar="FILE.json", default=default, help="template variables from a JSON file")


def add_settings(parser: ArgumentParser) -> None:
    """Adds the argument that sets values of the resolved configuration."""
    selection_group(parser).add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="PATH=VALUE",
        help="set a value of the resolved configuration, by its path as in `fgc explain`; may be repeated",
    )


def settings_of(arguments: Namespace) -> dict[str, str]:
    """Returns values by path, from `--set`. Raises CannotRun."""
    settings: dict[str, str] = {}
    for word in getattr(arguments, "settings", ()):
        path, equals, text = word.partition("=")
        if not equals or not path:
            raise CannotRun(f"`--set {word}`: write `--set path=value`, as in `--set optimizer.lr=0.1`")
        settings[path] = text
    return settings


def add_cache_switch(parser: ArgumentParser) -> None:
    """Adds the argument that disables the cache of results."""
    parser.add_argument("--no-cache", action="store_true", help="do not use the cache of results")


def add_trust(parser: ArgumentParser) -> None:
    """Adds the argument that allows code in a model's folder to run."""
    parser.add_argument(
        "--trust-remote-code",
        action=BooleanOptionalAction,
        help="run code in the model's folder (default: if fgc generated it on this machine; see fgc trust)",
    )


def variables_of(arguments: Namespace) -> dict[str, Any]:
    """Returns template variables from `--vars` and `-D`. Raises CannotRun."""
    variables: dict[str, Any] = {}
    if arguments.vars:
        try:
            loaded = read_json(Path(arguments.vars))
        except (OSError, ValueError) as error:
            raise CannotRun(f"`--vars {arguments.vars}` cannot be read: {error}") from None
        if not isinstance(loaded, dict):
            raise CannotRun(f"`--vars {arguments.vars}` must contain a JSON object")
        variables |= loaded
    for definition in arguments.define:
        name, equals, value = definition.partition("=")
        if not equals or not name.isidentifier():
            raise CannotRun(f"`-D {definition}`: write `-D name=value`")
        variables[name] = value_of(value)
    return variables


def value_of(text: str) -> Any:
    """Returns a command-line value as a number, True, False, None, or a string."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text
