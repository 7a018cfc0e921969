"""The state of files, names, folders and versions outside of a process."""

import hashlib
import os
import stat
from collections.abc import Callable

from msgspec import Struct, field

from fgc.installed import installed_version

ABSENT, FOLDER, SPECIAL, UNREADABLE = "absent", "folder", "special", "unreadable"
_ENVIRONMENT = (
    *("TZ", "SOURCE_DATE_EPOCH", "FGC_HOSTNAME", "FGC_VERSIONS"),
    *("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"),
)
_MAX_SIZE_BYTES = 16_000_000  # what is larger is no text of a person: it counts by its size


class Dependencies(Struct):
    """The dependencies of an answer, each in the state in which it was seen. Paths are absolute.

    `answers` are kept answers that it was made of, by their digests: what they rest on is written with them.
    `is_lasting` falls if the answer changes by itself, or if something changed while it was computed.
    """

    answers: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    is_lasting: bool = True

    def add(self, other: "Dependencies") -> None:
        """Rest on what another answer rests on, too."""
        self.is_lasting = self.is_lasting and other.is_lasting
        for mine, others in (
            (self.answers, other.answers),
            (self.paths, other.paths),
            (self.folders, other.folders),
            (self.versions, other.versions),
            (self.variables, other.variables),
        ):
            if mine and any(mine.get(name, state) != state for name, state in others.items()):
                self.is_lasting = False
            mine.update(others)

    def note(self, path: str, state: str) -> None:
        """Rest on a path in a state."""
        if self.paths.setdefault(path, state) != state:
            self.is_lasting = False


class Outside:
    """States as they are now; each is looked up once. `part` gives what a kept answer rests on, by key and digest."""

    def __init__(self, part: Callable[[str, str], Dependencies | None]) -> None:
        self._part = part
        self._holding: dict[tuple[str, str], bool] = {}
        self._paths: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def is_as(self, seen: Dependencies) -> bool:
        """Returns True if everything is in the state in which it was seen."""
        return (
            all(self._path(path) == state for path, state in seen.paths.items())
            and all(self._folder(path) == state for path, state in seen.folders.items())
            and all(version_state(name) == state for name, state in seen.versions.items())
            and all(variable_state(name) == state for name, state in seen.variables.items())
            and all(self._holds(*part) for part in seen.answers.items())
        )

    def _holds(self, key: str, digest: str) -> bool:
        if (key, digest) not in self._holding:
            seen = self._part(key, digest)
            self._holding[key, digest] = seen is not None and self.is_as(seen)
        return self._holding[key, digest]

    def _path(self, path: str) -> str:
        if path not in self._paths:
            self._paths[path] = path_state(path)
        return self._paths[path]

    def _folder(self, path: str) -> str:
        if path not in self._folders:
            self._folders[path] = folder_state(path)
        return self._folders[path]


def here() -> tuple[object, ...]:
    """Returns the surroundings of a command beside files: folder, environment, machine."""
    return os.getcwd(), os.path.expanduser("~"), *map(os.environ.get, _ENVIRONMENT), tuple(os.uname())  # noqa: PTH109, PTH111


def content_digest(content: bytes) -> str:
    """Returns the digest by which a content is known."""
    return hashlib.sha256(content).hexdigest()


def path_state(path: str) -> str:
    """Returns what is at a path now: a word, or the digest of a file's content."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- hundreds of these
        if stat.S_ISDIR(found.st_mode):
            return FOLDER
        if not stat.S_ISREG(found.st_mode):
            return SPECIAL
        if found.st_size > _MAX_SIZE_BYTES:
            return f"{found.st_size} bytes"
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return content_digest(file.read(_MAX_SIZE_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except (OSError, ValueError):
        return UNREADABLE


def folder_state(path: str) -> str:
    """Returns the digest of the names in a folder; a word if it cannot be listed."""
    try:
        return names_digest(os.listdir(path))  # noqa: PTH208 -- names are enough
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except OSError:
        return UNREADABLE


def names_digest(names: list[str]) -> str:
    """Returns the digest of the names in a folder."""
    return content_digest("\0".join(sorted(names)).encode("utf-8", "surrogatepass"))


def version_state(package: str) -> str:
    """Returns the version of an installed package; a word if there is none."""
    return installed_version(package) or ABSENT


def variable_state(name: str) -> str:
    """Returns the digest of a variable of the environment, whose value may be a secret; a word if it is not set."""
    value = os.environ.get(name)
    return ABSENT if value is None else content_digest(value.encode("utf-8", "surrogateescape"))
