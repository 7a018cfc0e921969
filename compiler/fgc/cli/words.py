"""The words behind a command: its own, and those that a configuration declares; loads no stage of the compiler."""

import re
import shlex
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from textwrap import fill
from typing import NoReturn

from fgc.patterns import regex


class CommandParser(ArgumentParser):
    """An argument parser whose errors say what to write."""

    def error(self, message: str) -> NoReturn:
        missing = re.fullmatch(r"argument (\S+): expected one argument", message)
        if missing is not None:
            option = missing[1].split("/")[-1]
            joined = f"{option}=-VALUE" if option.startswith("--") else f"{option}-VALUE"
            message += f"; one that begins with a dash is written `{joined}`"
        super().error(message)


class HelpFormatter(RawDescriptionHelpFormatter):
    """Paragraphs as wide as the terminal, at most as they are written; examples and lists stay as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = re.split(r"\n(?=[^\S\n]*\n)\n*", text.strip("\n"))
        return "\n\n".join(self._paragraph(each.strip("\n"), width, indent) for each in paragraphs)

    def _paragraph(self, text: str, width: int, indent: str) -> str:
        if re.search(r"(?m)^\s", text):  # a list, or examples
            return text
        return fill(" ".join(text.split()), width, initial_indent=indent, subsequent_indent=indent)


SECRET = regex(r"\(secret:(\w+)\)")  # what records have in place of the value of a variable


def shell_word(word: str) -> str:
    """A word for a shell, which puts the secrets in from the environment."""
    before, *rest = SECRET.split(word)
    pairs = zip(rest[::2], rest[1::2], strict=True)
    parts = [before and shlex.quote(before), *(f'"${name}"{text and shlex.quote(text)}' for name, text in pairs)]
    return "".join(parts) or "''"


_NUMBER = regex(r"-\.?\d.*")


def split_at_dashes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns what stands before `--` and what stands behind it."""
    position = words.index("--") if "--" in words else len(words)
    return list(words[:position]), list(words[position + 1 :])


def split_dynamic(parser: ArgumentParser, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """A command's own words, and the options that it does not know with all that follows each of them."""
    own: list[str] = []
    dynamic: list[str] = []
    is_own = True
    for position, word in enumerate(words):
        if word == "--":
            return [*own, *words[position:]], dynamic
        if word.startswith("-") and word != "-" and not _NUMBER.fullmatch(word):
            is_own = _is_known(parser, word)
        (own if is_own else dynamic).append(word)
    return own, dynamic


def _is_known(parser: ArgumentParser, word: str) -> bool:
    name = word.partition("=")[0] if word.startswith("--") else word[:2]
    return name in parser._option_string_actions  # as it is spelt: a beginning of it may be a configuration's option
