"""The facts about the machine that templates may use; the caller gives them to the resolver."""

from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec import Struct, field

_EPOCH = datetime(1970, 1, 1)


class Facts(Struct, frozen=True):
    """Clock, host, folders and versions.

    `used` collects the changing facts that a template used, `variables` the names of environment variables.
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
