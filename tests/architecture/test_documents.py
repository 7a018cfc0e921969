"""Every `fgc` command that a document shows is one that can be typed today: its words are parsed, nothing is run."""

import itertools
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from fgc.cli.main import _command_parser, _global_parser, _split, command_names
from fgc.cli.words import split_at_dashes, split_dynamic

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/guide/*.md")), *sorted(ROOT.glob("docs/reference/*.md"))]
DOCUMENTS += sorted(path for path in ROOT.glob("examples/**/README.md") if "output_models" not in path.parts)
_FENCE = re.compile(r"^```(?:sh|console|console other|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`(fgc [^`]+)`(?!`)")
_NOTATION = re.compile(r"[\[|…]|\.\.\.|<|COMMAND")  # of usages, which are not typed as they stand


def commands(text: str) -> Iterator[str]:
    """The lines of code that begin with `fgc`."""
    for block in _FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.removeprefix("$ ")
            if command.startswith("fgc ") and not _NOTATION.search(command.partition("#")[0].partition(" | ")[0]):
                yield command


def mentions(text: str) -> list[str]:
    """Commands between backquotes, which may leave out what they need."""
    return [command for command in _INLINE.findall(text) if not _NOTATION.search(command)]


def words_of(command: str) -> list[str]:
    """The words of its first command, as a shell divides them."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words = list(itertools.takewhile(lambda word: not set(word) <= set("|&;<>"), lexer))
    return words[1:]


def check(words: list[str]) -> None:
    """Raises SystemExit for an option that does not exist, or a word too few; AssertionError for an unknown command."""
    before, name, rest = _split(words)
    _global_parser(None).parse_args(before)
    if name is None:
        return
    assert name in command_names(), f"`fgc {name}` is no command"
    module = import_module(f"fgc.cli.commands.{name.replace('-', '_')}")
    if hasattr(module, "run_words"):
        known = {*module.completion_words(), "--help", "-h"}
        unknown = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in known]
        assert not unknown, f"`fgc {name}` has no {unknown}"
        return
    parser: ArgumentParser = _command_parser(module, name)
    if getattr(module, "PASSES_WORDS_ON", False):
        rest, _ = split_at_dashes(rest)
    if getattr(module, "TAKES_DYNAMIC_ARGUMENTS", False):
        rest, _ = split_dynamic(parser, rest)
    parser.parse_args(rest)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_document_can_be_typed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, wrong = path.read_text(encoding="utf-8"), []
    for command, is_mention in [(line, False) for line in commands(text)] + [(line, True) for line in mentions(text)]:
        try:
            check(words_of(command))
        except SystemExit as error:
            said = capsys.readouterr().err.strip().splitlines()[-1:]
            if error.code not in (0, None) and not (is_mention and "are required" in said[0]):
                wrong.append(f"{command}: {said}")
        except (AssertionError, ValueError) as error:
            wrong.append(f"{command}: {error}")
    assert not wrong, "\n".join(wrong)


def test_commands_are_found_in_the_documents() -> None:
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS]
    assert sum(len(list(commands(text))) for text in texts) > 60 and sum(len(mentions(text)) for text in texts) > 100


@pytest.mark.parametrize("command", ["fgc chekc", "fgc ls --nope", "fgc train -d", "fgc serve x --prot 1"])
def test_a_wrong_command_would_be_found(command: str) -> None:
    with pytest.raises((SystemExit, AssertionError)):
        check(words_of(command))
