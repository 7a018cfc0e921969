"""Estimates the size of results from operands and arguments, to refuse huge ones before they are made."""

from collections.abc import Callable, Iterable
from typing import Any

from fgc.patterns import regex
from fgc.resolve.bounds import MAX_INTEGER_BITS, MAX_VALUE_SIZE, MAX_WIDTH

_WIDE = frozenset(
    ("center", "ljust", "rjust", "zfill", "expandtabs", "indent", "wordwrap", "tojson", "batch", "slice", "round")
)
_SLOW = frozenset(("urlize", "striptags", "wordwrap", "pprint", "tojson", "xmlattr", "escape", "forceescape", "title"))
_MAX_SLOW_SIZE = 100_000  # characters; these walk a text with patterns, or item by item
_DIGITS = regex(r"\d{5,}")
_NESTED_WIDTH = regex(r"\{[^{}:]*:[^{}]*\{|%[^a-zA-Z%]*\*")


def operator_is_too_large(operator: str, left: Any, right: Any) -> bool:
    """Returns True if an operation would make a huge text, list or integer."""
    if operator == "*":
        return _product_is_too_large(left, right)
    if operator == "**":
        is_integer = isinstance(left, int) and isinstance(right, int)
        return is_integer and left.bit_length() * max(right, 0) > MAX_INTEGER_BITS
    if operator == "%" and isinstance(left, str):
        return format_is_too_large(left, right if isinstance(right, tuple) else [right])
    if operator == "+" and isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
        return len(left) + len(right) > MAX_VALUE_SIZE
    return False


def _product_is_too_large(left: Any, right: Any) -> bool:
    for sequence, count in ((left, right), (right, left)):
        if isinstance(sequence, (str, list, tuple)) and isinstance(count, int):
            return len(sequence) * max(count, 0) > MAX_VALUE_SIZE
    if isinstance(left, int) and isinstance(right, int):
        return left.bit_length() + right.bit_length() > MAX_INTEGER_BITS
    return False


def format_is_too_large(layout: str, values: Iterable[Any]) -> bool:
    """Returns True if a format string asks for a huge width, itself or through a value."""
    if any(int(run[:10]) > MAX_WIDTH for run in _DIGITS.findall(layout)):
        return True
    return _NESTED_WIDTH.search(layout) is not None and _has_huge(values)


def filter_is_too_large(name: str, value: Any, args: list[Any], kwargs: dict[str, Any]) -> bool:
    """Returns True if a filter would make something huge, or take very long."""
    given = [*args, *kwargs.values()]
    if name == "format":
        return isinstance(value, str) and format_is_too_large(value, given)
    if name in _WIDE and any(_width(argument) > MAX_WIDTH for argument in given):
        return True
    if name in _SLOW and isinstance(value, (str, list, tuple)) and len(value) > _MAX_SLOW_SIZE:
        return True
    if name == "indent" and isinstance(value, str) and given:
        return max(map(_width, given)) * (value.count("\n") + 1) > MAX_VALUE_SIZE
    if name == "tojson" and isinstance(value, (list, tuple, dict)) and given:
        return max(map(_width, given)) * len(value) > MAX_VALUE_SIZE
    if name == "replace" and isinstance(value, str) and len(args) >= 2:
        return _replacement_is_too_large(value, *args[:2])
    return name == "join" and _join_is_too_large(args[0] if args else "", value)


def call_is_too_large(callee: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> bool:
    """Returns True if a method of a text, or a function, would make something huge."""
    owner, name = getattr(callee, "__self__", None), getattr(callee, "__name__", "")
    if name in ("extend", "update") and isinstance(owner, (list, dict)):
        return len(owner) + sum(map(_length, [*args, kwargs])) > MAX_VALUE_SIZE
    if not isinstance(owner, str):
        return False
    if name in ("format", "format_map"):
        return format_is_too_large(owner, [*args, *kwargs.values()])
    if name in _WIDE and any(_width(argument) > MAX_WIDTH for argument in [*args, *kwargs.values()]):
        return True
    if name == "replace" and len(args) >= 2:
        return _replacement_is_too_large(owner, *args[:2])
    if name == "translate":
        return len(owner) * max((_width(item) for arg in args for item in _values(arg)), default=1) > MAX_VALUE_SIZE
    return name == "join" and bool(args) and _join_is_too_large(owner, args[0])


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (str, list, tuple, dict, range)) else 1


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else ()


def _width(value: Any) -> int:
    """The columns that an argument stands for: a number, or a text's length."""
    return abs(value) if isinstance(value, int) else len(value) if isinstance(value, str) else 0


def _has_huge(values: Iterable[Any]) -> bool:
    return any(isinstance(value, int) and abs(value) > MAX_WIDTH for value in values)


def _replacement_is_too_large(text: str, old: Any, new: Any) -> bool:
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    return len(text) + text.count(old) * len(new) > MAX_VALUE_SIZE


def _join_is_too_large(separator: Any, items: Any) -> bool:
    if not isinstance(items, (list, tuple)):
        return False
    size = sum(len(item) for item in items if isinstance(item, str))
    return size + len(items) * (len(separator) if isinstance(separator, str) else 1) > MAX_VALUE_SIZE
