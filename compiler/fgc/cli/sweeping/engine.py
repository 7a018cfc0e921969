"""Samplers, pruners and storages of Optuna by name, as a command line spells them.

Loads Optuna: 0.8 s.
"""

import fcntl
import inspect
import io
import logging
import os
import pickle
import re
import warnings
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalRedisBackend
from optuna.storages.journal._file import BaseJournalFileLock, get_lock_file

from fgc.cli.arguments import CannotRun, value_of
from fgc.diagnostics import did_you_mean
from fgc.patterns import regex
from fgc.pipeline.ranges import RangeError, split_values

Sampler = optuna.samplers.BaseSampler
Pruner = optuna.pruners.BasePruner
T = TypeVar("T")

_CALL = regex(r"(?P<name>[A-Za-z_]+)(\((?P<inside>.*)\))?")
_IN_URL = regex(r"(://[^:/@\s]*+):.*")
_KINDS = "|".join(f"(?<={word})" for word in ("password", "passphrase", "passwd", "pwd", "secret", "token"))
_NAMED = regex(rf"""((?<!\w)\w++(?:{_KINDS})["']?\s*+[=:]\s*+)(?:"[^"]*+"|'[^']*+'|[^&\s]++)""", re.IGNORECASE)
_JOURNAL_BEGINS = b'{"op_code":'
_OF_CMAES = frozenset(
    [("cmaes._cma", "CMA"), ("cmaes._sepcma", "SepCMA"), ("cmaes._cmawm", "CMAwM")]
    + [("numpy", "dtype"), ("numpy", "ndarray")]
    + [(f"numpy.{core}.multiarray", name) for core in ("_core", "core") for name in ("_reconstruct", "scalar")]
)


class _OnlyCmaes(pickle.Unpickler):
    """Reads the state of CMA-ES, which Optuna keeps as a pickle in the study; refuses what else would be called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _OF_CMAES:
            raise CannotRun(
                f"the study contains a state of CMA-ES that names {module}.{name}: it was not written by Optuna"
            )
        return super().find_class(module, name)


class _CmaEsSampler(optuna.samplers.CmaEsSampler):
    """Optuna's, which unpickles what the study holds; a study can come from anybody."""

    def _restore_optimizer(self, completed_trials: "list[optuna.trial.FrozenTrial]") -> Any:
        for trial in reversed(completed_trials):
            own = self._attr_key_optimizer
            if parts := {key: value for key, value in trial.system_attrs.items() if key.startswith(own)}:
                try:
                    return _OnlyCmaes(io.BytesIO(bytes.fromhex(self._concat_optimizer_attrs(parts)))).load()
                except CannotRun:
                    raise
                except Exception as problem:  # anything: bytes of somebody
                    raise CannotRun(f"the study's state of CMA-ES cannot be read: {first_line(problem)}") from None
        return None


class _WithoutSnapshots(BaseJournalBackend):
    """A journal in Redis without Optuna's snapshots beside it, which are pickles: opened, all of it is read."""

    def __init__(self, journal: BaseJournalBackend) -> None:
        self._journal = journal

    def read_logs(self, log_number_from: int) -> "Generator[dict[str, Any], None, None]":
        yield from self._journal.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self._journal.append_logs(logs)


_SAMPLERS: dict[str, Callable[..., Sampler]] = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
    "qmc": optuna.samplers.QMCSampler,
    "cmaes": _CmaEsSampler,
    "gp": optuna.samplers.GPSampler,
}
_PRUNERS: dict[str, Callable[..., Pruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
    "threshold": optuna.pruners.ThresholdPruner,
}


def make_sampler(text: str, seed: int | None) -> Sampler:
    """Returns a sampler such as `tpe` or `tpe(n_startup_trials=5)`. Raises CannotRun."""
    return _made("--sampler", text, _SAMPLERS, {"seed": seed})


def make_pruner(text: str, *, first_step: int | None, max_steps: int | None) -> Pruner:
    """Returns a pruner such as `median` or `hyperband(reduction_factor=4)`. Raises CannotRun.

    Steps are those of the training: `first_step` is that of its first evaluation, below which nothing is known.
    """
    resource = {} if first_step is None else {"min_resource": first_step}
    if text.partition("(")[0] == "hyperband" and max_steps is not None:
        resource |= {"max_resource": max_steps}
    return _made("--pruner", text, _PRUNERS, resource)


def open_storage(where: str | None, default: Path, *, is_read: bool = False) -> BaseStorage:
    """Returns the storage at a URL, or of a journal file, which `is_read` leaves as it is. Raises CannotRun."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("optuna").addFilter(lambda record: record.levelno >= logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if where is None or "://" not in where:
        return _journal(Path(where) if where is not None else default, is_read=is_read)
    try:
        if where.startswith("redis"):
            return JournalStorage(_WithoutSnapshots(JournalRedisBackend(where)))
        return optuna.storages.get_storage(where)
    except ImportError as missing:
        raise CannotRun(f"`--storage {without_password(where)}` needs a package: {first_line(missing)}") from None
    except Exception as problem:  # of any driver
        raise CannotRun(f"`--storage {without_password(where)}` cannot be opened: {first_line(problem)}") from None


def without_password(storage: str) -> str:
    """Returns a text without passwords: in URLs, in their queries, and as drivers name them, quoted or not."""
    return _NAMED.sub(r"\1...", "\n".join(map(_without_password_in_url, storage.splitlines())))


def _without_password_in_url(line: str) -> str:
    """A line without what stands between the name in a URL and the last `@`: a password may hold any sign."""
    before, at, behind = line.rpartition("@")
    return _IN_URL.sub(r"\1:...", before) + at + behind if at else line


def first_line(problem: BaseException) -> str:
    """Returns what an error of a library says, in a line."""
    text = without_password(str(problem)).strip()
    return (text.splitlines() or [type(problem).__name__])[0]


class FileLock(BaseJournalFileLock):
    """A lock that dies with its process. The next holder drops the line that a killed one did not finish.

    Otherwise the next line would be glued to it, and the journal could never be read again.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._descriptor = -1

    def acquire(self) -> bool:
        """Waits, and mends the end of the journal."""
        path = self._journal.with_name(f".{self._journal.name}.lock")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with self._journal.open("rb+") as file:
            end = size = file.seek(0, os.SEEK_END)
            while end > 0 and _byte_before(file, end) != b"\n":
                end -= 1
            if end < size:
                file.truncate(end)
        return True

    def release(self) -> None:
        """Lets the next one in."""
        os.close(self._descriptor)


def _byte_before(file: Any, position: int) -> bytes:
    file.seek(position - 1)
    found: bytes = file.read(1)
    return found


def _journal(path: Path, *, is_read: bool) -> BaseStorage:
    if path.is_dir():
        raise CannotRun(f"`--storage {path}` is a folder; name a file in it")
    try:
        if not is_read:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        _require_journal(path)
        lock = FileLock(path)
        backend: BaseJournalBackend = JournalFileBackend(str(path), lock_obj=lock)
        if not is_read:
            with get_lock_file(lock):  # mends its end
                pass
        return JournalStorage(backend)
    except OSError as problem:
        raise CannotRun(f"`{path}` cannot be written: {problem.strerror or problem}") from None
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as problem:
        raise CannotRun(f"`{path}` is not the journal of a study: {first_line(problem)}") from None


def _require_journal(path: Path) -> None:
    """Raises CannotRun for a file of something else, before its end is mended."""
    if not path.is_file():
        raise CannotRun(f"`{path}` is not a regular file")
    with path.open("rb") as file:
        beginning = file.read(len(_JOURNAL_BEGINS))
    if not _JOURNAL_BEGINS.startswith(beginning):
        raise CannotRun(f"`{path}` is not the journal of a study")


def _made(option: str, text: str, known: Mapping[str, Callable[..., T]], given: Mapping[str, object]) -> T:
    match = _CALL.fullmatch(text.strip())
    name = match["name"].lower() if match is not None else text
    if match is None or name not in known:
        help = did_you_mean(name, known) or f"it is one of {', '.join(known)}"
        raise CannotRun(f"`{option} {text}`: there is no `{name}`; {help}")
    make = known[name]
    parameters = inspect.signature(make).parameters
    options: dict[str, Any] = {key: value for key, value in given.items() if key in parameters}
    if name == "percentile":
        options["percentile"] = 50.0
    options |= _options(option, text, match["inside"] or "", [key for key in parameters if key != "self"])
    try:
        return make(**options)
    except (ValueError, TypeError) as problem:
        raise CannotRun(f"`{option} {text}`: {first_line(problem)}") from None
    except ImportError as problem:
        raise CannotRun(f"`{option} {text}` needs a package: {first_line(problem)}") from None


def _options(option: str, text: str, inside: str, names: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        words = split_values(inside) if inside.strip() else []
    except RangeError as problem:
        raise CannotRun(f"`{option} {text}`: {problem}") from None
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals or name not in names:
            help = did_you_mean(name, names) or f"it has {', '.join(names)}"
            raise CannotRun(f"`{option} {text}`: it has no argument `{name}`; {help}")
        found[name] = value_of(value)
    return found
