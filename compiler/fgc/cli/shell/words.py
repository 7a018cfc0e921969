"""A line that is being typed to the words that may come next, each with what it means."""

import shlex
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

from msgspec import Struct

from fgc.cli.shell.run import BUILTINS
from fgc.cli.shell.state import ShellState

_OF_CONFIGS = ("-t", "--config")
_OF_FOLDERS = ("-p", "--project", "-o", "--output", "-I", "--folder", "--into")


class WordChoice(Struct, frozen=True):
    """A word; `length` characters before the cursor are a part of it."""

    word: str
    length: int
    meaning: str = ""


def candidates(line: str, state: ShellState, summaries: Mapping[str, str]) -> Iterator[WordChoice]:
    """Yields what may stand where the line ends. `summaries` describe the commands."""
    words, current = _split(line)
    found: Mapping[str, str] = dict(_possible(words, current, state, summaries))
    for word, meaning in found.items():
        if word.startswith(current):
            yield WordChoice(shlex.quote(word), len(_typed(line)), meaning)


def _split(line: str) -> tuple[list[str], str]:
    """The words before the one at the cursor, and that word's beginning."""
    typed = _typed(line)
    try:
        words = shlex.split(line[: len(line) - len(typed)])
    except ValueError:
        words = line.split()
    return (words[1:] if words[:1] == ["fgc"] else words), typed.strip("\"'")


def _typed(line: str) -> str:
    """The unfinished word as it stands, with a quote that it begins with."""
    start, quote = len(line), ""
    for place, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote, start = character, min(start, place) if start < len(line) else place
        elif character == " ":
            start = len(line)
        elif start == len(line):
            start = place
    return line[start:]


def _possible(
    words: list[str], current: str, state: ShellState, summaries: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    if not words:
        yield from summaries.items()
        yield from BUILTINS.items()
        return
    command, last = words[0], words[-1]
    if command == "help":
        yield from {**summaries, **BUILTINS}.items()
    elif command == "use" or last in _OF_CONFIGS:
        yield from ((name, "configuration") for name in state.configurations)
    elif command == "cd" or last in _OF_FOLDERS:
        yield from _paths(current, only_folders=True)
    elif last == "--target":
        yield from ((name, "target") for name in (state.graph.targets if state.graph is not None else ()))
    elif command in summaries:
        options = {**_options(command), **_declared(command, state)}
        yield from options.items() if current.startswith("-") else _plain(command, words, current, options)


def _plain(command: str, words: list[str], current: str, options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Actions such as `init` behind `ws`, then files."""
    actions = [(word, meaning) for word, meaning in options.items() if not word.startswith("-")]
    if len(words) == 1 and actions:
        yield from actions
        return
    yield from _paths(current, only_folders=False)


def _paths(current: str, *, only_folders: bool) -> Iterator[tuple[str, str]]:
    head = current[: current.rfind("/") + 1]
    folder = Path(head).expanduser() if head else Path()
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for path in entries:
        if path.name.startswith(".") and not current[len(head) :].startswith("."):
            continue
        if path.is_dir():
            yield f"{head}{path.name}/", "folder"
        elif not only_folders:
            yield f"{head}{path.name}", ""


@cache
def _options(command: str) -> dict[str, str]:
    """The options of a command, and its actions, with their help."""
    module = import_module(f"fgc.cli.commands.{command.replace('-', '_')}")
    if hasattr(module, "completion_words"):
        return dict.fromkeys(module.completion_words(), "")
    parser = ArgumentParser(prog=command)
    module.configure(parser)
    found: dict[str, str] = {}
    for action in parser._actions:
        found |= dict.fromkeys(action.option_strings, action.help or "")
        if not action.option_strings and action.choices:
            helps = {choice.dest: choice.help or "" for choice in getattr(action, "_choices_actions", ())}
            found |= {str(choice): helps.get(str(choice), "") for choice in action.choices}
            for inner in action.choices.values() if isinstance(action.choices, dict) else ():
                found |= {word: option.help or "" for option in inner._actions for word in option.option_strings}
    return found | {"-t": "another configuration", "-p": "another project"}


def _declared(command: str, state: ShellState) -> dict[str, str]:
    """The options that the chosen configuration declares, for commands that take them."""
    module = import_module(f"fgc.cli.commands.{command.replace('-', '_')}")
    if not getattr(module, "TAKES_DYNAMIC_ARGUMENTS", False):
        return {}
    from fgc.pipeline.dynamic import dynamic_arguments

    found = dynamic_arguments(state.graph).value if state.graph is not None else ()
    return {name: argument.help or "of this configuration" for argument in found for name in argument.names}
