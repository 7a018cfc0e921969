"""Holds what templates may ask about the world: given to the resolver, never read by it."""

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct, field

_EPOCH = datetime(1970, 1, 1)


class Facts(Struct, frozen=True):
    """Clock, host, folders and versions.

    `used` collects what a template asked for that changes by itself, `variables` the names of variables of the
    environment that it asked for.
    """

    now: datetime = _EPOCH
    utcnow: datetime = _EPOCH
    hostname: str = "localhost"
    environment: Mapping[str, str] = field(default_factory=dict)
    uname: tuple[str, ...] = ("Linux", "localhost", "", "", "")
    versions: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)
    folder_functions: Mapping[str, Callable[..., str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
