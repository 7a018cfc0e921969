"""Texts of a command line to values, for the options of generated programs."""

import argparse
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_MARK = "\ue000"  # a private character, which YAML reads as itself everywhere
_SOMETHING_ELSE = "stands for something else in the template; build with it instead"


def boolean(text: str) -> bool:
    """`true`, `yes`, `on`, `1` or their opposites, in any case. Raises ValueError, as argparse wants it."""
    if text.lower() not in _TRUTH:
        raise ValueError(f"{text!r} is neither true nor false")
    return _TRUTH[text.lower()]


def absolute_path(text: str) -> str:
    """A path with `~` expanded, seen from the current folder."""
    return os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111 -- keeps `..` and links as they are named


class StorePath(argparse.Action):
    """The action of a path whose default stays as it is: what is given becomes an absolute path."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, absolute_path(str(values)))


class StorePart(argparse.Action):
    """The action of a word that a template prints in texts, as which YAML must read it there."""

    def __init__(
        self, *words: Any, forms: Sequence[str], convert: Callable[[str], str] | None = None, **more: Any
    ) -> None:
        super().__init__(*words, **more)
        self.forms, self.convert = forms, convert

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        text = str(values) if self.convert is None else self.convert(str(values))
        for form in self.forms:
            if not _is_text_in(form, text):
                where = f"in `{form}`, where the template has it without `| toyaml`"
                parser.error(f"argument {option_string}: YAML does not read {text!r} as this text {where}")
        setattr(namespace, self.dest, text)


def part_of(*forms: str, convert: Callable[[str], str] | None = None) -> Callable[..., argparse.Action]:
    """Returns the action of a word that stands in texts of a template, at `{}`; `convert` makes a path of it."""
    return partial(StorePart, forms=forms, convert=convert)


def _is_text_in(form: str, text: str) -> bool:
    """Returns True if YAML reads a text where it is written in another one as that text."""
    import yaml  # only programs with such an option need it, and only if the option is given

    try:
        read, expected = (
            yaml.safe_load(written if written.startswith("[") else f"- {written}")
            for written in (form.replace("{}", text), form.replace("{}", _MARK))
        )
    except yaml.YAMLError:
        return False
    return bool(read == [expected[0].replace(_MARK, text)])


def plain_value(text: str) -> bool | int | float | str | None:
    """The value of a word that a template prints without quotes: `10` is a number there, `true` a truth value.

    Raises argparse.ArgumentTypeError for a word that would be more or less than one value.
    """
    return _one_value(text, f"- {text}")


def item_value(text: str) -> bool | int | float | str | None:
    """Returns the value of a word without quotes in a list or mapping in brackets, where commas and brackets end it.

    Raises argparse.ArgumentTypeError for a word that would be more or less than one value.
    """
    return _one_value(text, f"[{text}]") if text.strip() else None


def _one_value(text: str, written: str) -> bool | int | float | str | None:
    import yaml  # only programs with such an option need it, and only if the option is given

    values: Any
    try:
        values = yaml.safe_load(written)
    except yaml.YAMLError:
        values = ()
    value: Any = values[0] if isinstance(values, list) and len(values) == 1 else ()
    is_text = isinstance(value, str) and value == text.strip(" ")
    if "\n" in text or not (is_text or value is None or isinstance(value, bool | int | float)):
        raise argparse.ArgumentTypeError(f"{text!r} {_SOMETHING_ELSE}")
    return cast("bool | int | float | str | None", value)
