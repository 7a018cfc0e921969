"""The reference of the command line names every command and every option that `--help` shows."""

import re
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import pytest
from fgc.cli.main import command_names

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference/commands.md"
_EVERYWHERE = {"-h", "--help", "-p", "--project", "-t", "--config", "-D", "-I", "--vars", "--no-cache"}


def sections() -> dict[str, str]:
    """What the reference says of each command, with the documents to which that leads."""
    text = REFERENCE.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for title, body in re.findall(r"^## (.*)\n((?:(?!## ).*\n?)*)", text, re.MULTILINE):
        linked = re.findall(r"\]\(([^)#:]+\.md)", body)
        pages = [(REFERENCE.parent / path).read_text(encoding="utf-8") for path in linked]
        for name in re.findall(r"(?:fgc )?([\w-]+)", title):
            found[name] = found.get(name, "") + "\n".join([body, *pages])
    return found


def options(command: str) -> Iterator[list[str]]:
    """The words of a command that begin with a dash, those that mean the same together, and its actions."""
    module = import_module(f"fgc.cli.commands.{command.replace('-', '_')}")
    if hasattr(module, "completion_words"):
        yield from ([word] for word in module.completion_words() if not word.startswith("--no-"))
        return
    parser = ArgumentParser(prog=command)
    module.configure(parser)
    for action in parser._actions:
        if action.option_strings:
            yield list(action.option_strings)
        elif isinstance(action.choices, dict):
            yield from ([name] for name in action.choices)
            for inner in action.choices.values():
                yield from (list(each.option_strings) for each in inner._actions if each.option_strings)


def is_named(word: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


@pytest.mark.parametrize("command", command_names())
def test_the_reference_names_every_option(command: str) -> None:
    text = sections().get(command, "")
    assert text, f"docs/reference/commands.md has no section on `fgc {command}`"
    words = [spelt for spelt in options(command) if not _EVERYWHERE.intersection(spelt)]
    missing = ["/".join(spelt) for spelt in words if not any(is_named(word, text) for word in spelt)]
    assert not missing, f"docs/reference/commands.md says nothing of {', '.join(missing)} of `fgc {command}`"


@pytest.mark.parametrize("option", sorted(_EVERYWHERE - {"-h", "--help", "--project", "--config"}))
def test_the_reference_names_the_options_of_many_commands(option: str) -> None:
    assert f"`{option}" in REFERENCE.read_text(encoding="utf-8") or f" {option} " in REFERENCE.read_text(
        encoding="utf-8"
    )


def test_the_readme_has_a_row_for_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [name for name in command_names() if f"`fgc {name}" not in text and f"fgc {name}" not in text]


def test_the_readme_names_every_extra_and_all_holds_those_of_users() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| extra | installs")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(extras)
    assert needed("all", extras) == set(extras) - {"all", "dev", "docs"}


def needed(extra: str, extras: Mapping[str, Sequence[str]]) -> set[str]:
    """Returns the extras that an extra draws in by `fgc[...]`, also through others."""
    found = {name for text in extras[extra] for names in re.findall(r"^fgc\[(.*)\]", text) for name in names.split(",")}
    return found.union(*(needed(name, extras) for name in found))
