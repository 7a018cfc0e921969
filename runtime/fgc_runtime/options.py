"""Texts of a command line to values, for the options of generated programs."""

import argparse
import os
from collections.abc import Sequence
from typing import Any

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_FLOW = frozenset(",[]{}\n")  # what ends a value in a list or a mapping
_AROUND = (("", "x"), ("x", ""), ("x ", " x"))  # what may stand before and behind a part of a text
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
    """The action of a word that a template prints as a part of a text without quotes, which YAML must not end there."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        text = str(values)
        if not all(_is_plain(f"{before}{text}{after}") for before, after in _AROUND):
            parser.error(f"argument {option_string}: {text!r} {_SOMETHING_ELSE}")
        setattr(namespace, self.dest, text)


def _is_plain(text: str) -> bool:
    """Returns True if YAML reads a text without quotes as it is, also in a list."""
    import yaml  # only programs with such an option need it, and only if the option is given

    try:
        return bool(yaml.safe_load(f"[{text}]") == [text])
    except yaml.YAMLError:
        return False


def plain_value(text: str) -> bool | int | float | str | None:
    """The value of a word that a template prints without quotes: `10` is a number there, `true` a truth value.

    Raises argparse.ArgumentTypeError for a word that would be more or less than one value.
    """
    import yaml  # only programs with such an option need it, and only if the option is given

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = ()
    is_text = isinstance(value, str) and value == text
    if _FLOW.intersection(text) or not (is_text or value is None or isinstance(value, bool | int | float)):
        raise argparse.ArgumentTypeError(f"{text!r} {_SOMETHING_ELSE}")
    return value  # type: ignore[no-any-return]  # one of the types above
