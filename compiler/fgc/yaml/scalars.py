"""Scalars to values, by YAML 1.1's rules as PyYAML reads them."""

from functools import lru_cache
from typing import Any

import yaml

_PREFIX = "tag:yaml.org,2002:"
_RESOLVER: Any = yaml.resolver.Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_CONSTRUCTORS: dict[str, Any] = {
    "null": _CONSTRUCTOR.construct_yaml_null,
    "bool": _CONSTRUCTOR.construct_yaml_bool,
    "int": _CONSTRUCTOR.construct_yaml_int,
    "float": _CONSTRUCTOR.construct_yaml_float,
}


_MAX_BITS = 10_000  # Python refuses to print integers of more than 4,300 digits


class UnsupportedScalar(ValueError):
    """A scalar of a YAML type that configurations do not have; the message names the type."""


class TooManyDigits(ValueError):
    """An integer that Python refuses to print."""


@lru_cache(maxsize=65_536)
def scalar_type(value: str, is_plain: bool) -> str:
    """The YAML 1.1 type of an untagged scalar: null, bool, int, float, str, timestamp, merge or value."""
    tag: str = _RESOLVER.resolve(yaml.ScalarNode, value, (is_plain, not is_plain))
    return tag.removeprefix(_PREFIX)


def scalar_value(value: str, kind: str) -> bool | int | float | str | None:
    """The value of a scalar of a type. Raises UnsupportedScalar for dates and the like, ValueError for a bad one."""
    if kind == "str":
        return value
    construct = _CONSTRUCTORS.get(kind)
    if construct is None:
        raise UnsupportedScalar(kind)
    result: bool | int | float | str | None = construct(yaml.ScalarNode(_PREFIX + kind, value))
    if isinstance(result, int) and result.bit_length() > _MAX_BITS:
        raise TooManyDigits(value)
    return result


def standard_type(tag: str) -> str | None:
    """`str` for `!!str`, and so on; None if a tag is no YAML standard tag."""
    return tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else None
