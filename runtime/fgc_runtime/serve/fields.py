"""One JSON object's fields, read by name with a type and a range; what is wrong is a 400 that names the field.

A field that is null counts as left out, as in the OpenAI API.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from fgc_runtime.serve.faults import RequestError, invalid

Number = TypeVar("Number", int, float)
Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


class Fields:
    """A JSON object with the path that leads to it, like `messages[0]`."""

    def __init__(self, value: Json, *, path: str = "") -> None:
        if not isinstance(value, Mapping):
            raise wrong_type(path or None, "an object", value)
        self._values = value
        self._path = path

    def at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def names(self) -> set[str]:
        return set(self._values)

    def get(self, name: str) -> Json:
        return self._values.get(name)

    def required(self, name: str) -> Json:
        value = self.get(name)
        if value is None:
            message = f"Missing required parameter: '{self.at(name)}'."
            raise invalid(message, param=self.at(name), code="missing_required_parameter")
        return value

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return None if value is None else as_text(value, self.at(name))

    def flag(self, name: str) -> bool | None:
        value = self.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise wrong_type(self.at(name), "a boolean", value)

    def integer(self, name: str, *, low: int, high: int) -> int | None:
        value = self.get(name)
        if value is None:
            return None
        return _in_range(as_integer(value, self.at(name)), low, high, self.at(name))

    def number(self, name: str, *, low: float, high: float) -> float | None:
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(self.at(name), "a number", value)
        if isinstance(value, float) and not math.isfinite(value):
            raise wrong_type(self.at(name), "a number", value)
        return float(_in_range(value, low, high, self.at(name)))

    def inner(self, name: str) -> "Fields | None":
        value = self.get(name)
        return None if value is None else Fields(value, path=self.at(name))


def check_text(value: Json, path: str = "") -> None:
    """Raises RequestError if a text or a name in the value, at any depth, holds half of a surrogate pair."""
    if isinstance(value, str):
        as_text(value, path)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            shown = name.encode("ascii", "backslashreplace").decode()
            as_text(name, shown if not path else f"{path}.{shown}")
            check_text(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, Sequence):
        for index, inner in enumerate(value):
            check_text(inner, f"{path}[{index}]")


def as_text(value: Json, path: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(path, "a string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(f"Invalid '{path}': half of a surrogate pair is no text.", param=path) from None
    return value


def as_integer(value: Json, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(path, "an integer", value)
    return value


def as_list(value: Json, path: str) -> Sequence[Json]:
    if not isinstance(value, list):
        raise wrong_type(path, "an array", value)
    return value


def wrong_type(path: str | None, expected: str, value: Json) -> RequestError:
    where = f"Invalid type for '{path}'" if path else "Invalid request body"
    message = f"{where}: expected {expected}, but got {_kind(value)} instead."
    return invalid(message, param=path, code="invalid_type")


def _in_range(value: Number, low: float, high: float, path: str) -> Number:
    if low <= value <= high:
        return value
    bound, code = (f">= {low}", "below_min") if value < low else (f"<= {high}", "above_max")
    kind = "integer" if isinstance(value, int) else "number"
    message = f"Invalid '{path}': expected a value {bound}, but got {value} instead."
    raise invalid(message, param=path, code=f"{kind}_{code}_value")


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float() if not math.isfinite(value):
            return "a number that is too large"
        case float():
            return "a number"
        case str():
            return "a string"
        case Mapping():
            return "an object"
        case _:
            return "an array"
