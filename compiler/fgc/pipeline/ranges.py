"""`log(1e-4, 1e-2)`, `int(1, 8)` or `1,2,3` to the values that a sweep may try.

A condition may follow: `uniform(0.8, 0.99) if optimizer.kind=sgd`. Knows neither paths nor what stands there.
"""

import math
import re
from collections.abc import Sequence

from msgspec import Struct

from fgc.diagnostics import did_you_mean
from fgc.patterns import regex

FUNCTIONS = ("log", "uniform", "int")
_CALL = regex(r"(?P<name>[A-Za-z_]\w*)\s*\((?P<inside>.*)\)", re.DOTALL)
_CONDITION = regex(r"(?<!\s)\s+if\s+(?P<path>[^=\s]+)\s*=\s*(?P<values>.+)$", re.DOTALL)
_KEYWORD = regex(r"(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.+)", re.DOTALL)


class RangeError(ValueError):
    """A text that is no range; says what to write."""


class Choices(Struct, frozen=True, tag="choices"):
    """Some values, as they are written in `--set`."""

    texts: tuple[str, ...]


class Interval(Struct, frozen=True, tag="interval"):
    """All numbers between two, both included; in steps of `step`. `count` of them make a grid."""

    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False
    step: float | None = None
    count: int | None = None


class Condition(Struct, frozen=True):
    """A value is tried only where another one, that is swept too, is one of `texts`."""

    path: str
    texts: tuple[str, ...]


class Range(Struct, frozen=True):
    """A set of values to try, and the condition for trying them."""

    values: Choices | Interval
    condition: Condition | None = None


def parse_range(text: str) -> Range:
    """Reads a range. Raises RangeError."""
    condition = None
    if (match := _CONDITION.search(text)) is not None:
        condition = Condition(match["path"], tuple(_words(match["values"])))
        text = text[: match.start()]
    return Range(_values(text.strip()), condition)


def as_integers(interval: Interval) -> Interval:
    """Returns the interval of the integers in it. Raises RangeError where an end or the step is none."""
    for name, value in (("begins", interval.low), ("ends", interval.high), ("has steps of", interval.step or 1)):
        if not float(value).is_integer():
            raise RangeError(f"it {name} {value:g}, and the values there are integers")
    return Interval(interval.low, interval.high, interval.is_log, True, interval.step, interval.count)


def grid_of(values: Choices | Interval) -> tuple[str, ...]:
    """Returns all values of a range, for a grid. Raises RangeError for one that does not say how many."""
    if isinstance(values, Choices):
        return values.texts
    if values.count is not None:
        return tuple(dict.fromkeys(_spread(values)))
    if values.is_integer or values.step is not None:
        step = values.step or 1
        number = math.floor((values.high - values.low) / step + 1e-9) + 1
        return tuple(written(values.low + index * step, is_integer=values.is_integer) for index in range(number))
    raise RangeError("a grid needs a number of values: write `n=5` as a third argument, or list the values")


def ends_of(values: Choices | Interval) -> tuple[str, ...]:
    """Returns the values to check before the first trial: every choice, both ends of an interval."""
    if isinstance(values, Choices):
        return values.texts
    return tuple(written(end, is_integer=values.is_integer) for end in (values.low, values.high))


def written(value: float, *, is_integer: bool) -> str:
    """Returns a number as `--set` takes it."""
    return str(round(value)) if is_integer else repr(float(value))


def split_values(text: str) -> list[str]:
    """Returns the parts between commas that stand in no brackets and no quotes. Raises RangeError."""
    parts, depth, quote, begin = [], 0, "", 0
    for position, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'" and not text[begin:position].strip():
            quote = sign
        elif sign in "[{(":
            depth += 1
        elif sign in ")}]":
            depth -= 1
        elif sign == "," and depth == 0:
            parts.append(text[begin:position].strip())
            begin = position + 1
    if quote or depth:
        raise RangeError(f"a quote or bracket in `{text}` is not closed")
    return [*parts, text[begin:].strip()]


def _values(text: str) -> Choices | Interval:
    call = _CALL.fullmatch(text)
    if call is None or call["name"] not in FUNCTIONS:
        if call is not None and "," in call["inside"] and call["name"].islower():
            help = did_you_mean(call["name"], FUNCTIONS) or f"a range is one of {', '.join(FUNCTIONS)}"
            raise RangeError(f"there is no range `{call['name']}`; {help}")
        return Choices(tuple(_words(text)))
    return _interval(call["name"], split_values(call["inside"]))


def _words(text: str) -> list[str]:
    words = [_unquoted(word) for word in split_values(text)]
    if not text or any(word == "" for word in split_values(text)):
        raise RangeError("a value is missing; write an empty text as `''`")
    if len(set(words)) < len(words):
        twice = next(word for word in words if words.count(word) > 1)
        raise RangeError(f"`{twice}` is there twice")
    return words


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def _interval(name: str, words: Sequence[str]) -> Interval:
    options = {match["name"]: match["value"] for word in words if (match := _KEYWORD.fullmatch(word)) is not None}
    ends = [word for word in words if _KEYWORD.fullmatch(word) is None]
    unknown = sorted(options.keys() - {"step", "n"})
    if len(ends) != 2 or unknown:
        wrong = f"it has no argument `{unknown[0]}`" if unknown else f"it has {len(ends)} ends"
        raise RangeError(f"{wrong}; write `{name}(LOW, HIGH)`, perhaps with step=S or n=COUNT")
    low, high = map(_number, ends)
    step = _number(options["step"]) if "step" in options else None
    count = int(_number(options["n"])) if "n" in options else None
    if not low < high:
        raise RangeError(f"its low end {low:g} must be below its high end {high:g}")
    if name == "log" and low <= 0:
        raise RangeError(f"its low end {low:g} must be above 0, for a logarithm")
    if name == "log" and step is not None:
        raise RangeError("a logarithmic range has no steps; `n=5` makes a grid of five")
    if step is not None and step <= 0:
        raise RangeError(f"its step {step:g} must be above 0")
    if count is not None and count < 2:
        raise RangeError(f"n={count} must be at least 2")
    found = Interval(low, high, name == "log", False, step, count)
    return as_integers(found) if name == "int" else found


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise RangeError(f"`{text}` is not a number") from None
    if not math.isfinite(value):
        raise RangeError(f"`{text}` is not the end of a range")
    return value


def _spread(values: Interval) -> list[str]:
    """`count` values from end to end, evenly or by equal factors."""
    assert values.count is not None, "only a range with a count is spread"
    last = values.count - 1
    found = []
    for index in range(values.count):
        part = index / last
        if values.is_log:
            value = math.exp(math.log(values.low) + part * (math.log(values.high) - math.log(values.low)))
        else:
            value = values.low + part * (values.high - values.low)
        value = values.low if index == 0 else values.high if index == last else value
        found.append(written(float(f"{value:.12g}"), is_integer=values.is_integer))
    return found
