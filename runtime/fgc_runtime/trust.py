"""A model's folder to one answer for all commands, whether the Python code in it may run.

Code that fgc generated on this machine may. Its digests are kept in the user's state folder, one empty file for each;
`fgc build`, `fgc convert` and trainings add what they write, `fgc trust` adds what a person has read. Nothing in the
model's folder itself counts: whoever makes the folder makes all that lies in it.
"""

import atexit
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MAX_CODE_BYTES = 4_000_000  # the largest generated module has 60 kB
_MAX_CONFIG_BYTES = 64_000_000  # with the tokens of a large vocabulary
_CONFIGS = (
    *("config.json", "tokenizer_config.json", "generation_config.json"),
    *("preprocessor_config.json", "processor_config.json"),
)
_REFERENCE = re.compile(r"([A-Za-z_]\w*)\.[A-Za-z_]\w*")
_NUM_NAMED = 4


class UntrustedCode(Exception):
    """A model's folder with Python code that may not run; the message says what to do."""


def may_run_code(folder: Path, *, is_told: bool | None = None, home: Path | None = None) -> bool:
    """Returns True if the code in a model's folder may run, False if there is none, or the user forbids it.

    `is_told` is what the command line says: `--trust-remote-code`, `--no-trust-remote-code` or neither. `home` is
    where the code lies, if the folder only links to it. Raises UntrustedCode if the command line says neither, and
    fgc did not generate the code on this machine.
    """
    if is_told is not None:
        return is_told
    references, files = list(_references(folder)), list(_code_files(folder))
    is_package = not (folder / "config.json").is_file()
    if not references and not (files and (is_package or _generates_itself(files))):
        return False
    modules = {path.stem for path in files if path.parent == folder}
    foreign = [path.relative_to(folder).as_posix() for path in files if not _is_known(path)]
    foreign += [reference for reference in references if _module(reference) not in modules]
    foreign += _base_elsewhere(folder) if is_package else []
    if foreign:
        raise UntrustedCode(_refusal(home or folder, sorted(set(foreign))))
    return True


def _base_elsewhere(folder: Path) -> list[str]:
    """The model that transformers would load in place of a folder with an adapter and no configuration of its own."""
    try:
        adapter = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return [str(adapter.get("base_model_name_or_path"))] if isinstance(adapter, dict) else []


def require_known_code(folder: Path, files: Iterable[Path]) -> None:
    """Raises UntrustedCode for files below a folder that fgc did not generate on this machine, and nobody trusted."""
    foreign = [path.relative_to(folder).as_posix() for path in files if not _is_known(path)]
    if foreign:
        raise UntrustedCode(_refusal(folder, sorted(foreign)))


def known_code(path: Path) -> bytes:
    """Returns a file's content, which is what to run. Raises UntrustedCode as `require_known_code` does."""
    content = _beginning(path, _MAX_CODE_BYTES)
    if not _is_known_content(content):
        raise UntrustedCode(_refusal(path.parent, [path.name]))
    return content


@dataclass(frozen=True, slots=True)
class CheckedFolder:
    """Holds what to load a model from, and whether the code in it may run."""

    path: Path
    is_trusted: bool


def checked_folder(folder: Path, *, is_told: bool | None = None, home: Path | None = None) -> CheckedFolder:
    """Checks a model's folder and returns the folder to load it from. Raises UntrustedCode as `may_run_code` does.

    If code may run because it is known, that is a copy of the folder's code and configurations which nobody else can
    write, with links to the weights: whoever changes the folder after the check changes nothing that runs. The copy
    lives as long as this process.
    """
    if is_told is not None:
        return CheckedFolder(folder, is_told)
    if not may_run_code(folder, home=home):
        return CheckedFolder(folder, False)
    copy = _copy(folder)
    return CheckedFolder(copy, may_run_code(copy, home=home or folder))


def _copy(folder: Path) -> Path:
    parent = Path(tempfile.mkdtemp(prefix="fgc-model-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    copy = parent / folder.resolve().name
    (copy / "custom_generate").mkdir(parents=True)
    for path in _code_files(folder):
        (copy / path.relative_to(folder)).write_bytes(_beginning(path, _MAX_CODE_BYTES))
    for path in folder.iterdir():
        if path.name in _CONFIGS and path.is_file():
            (copy / path.name).write_bytes(_beginning(path, _MAX_CONFIG_BYTES))
        elif path.suffix != ".py" and path.name != "custom_generate":
            (copy / path.name).symlink_to(path.resolve())
    return copy


def _beginning(path: Path, most: int) -> bytes:
    """The content of a file, one byte more than is allowed if it is too long, which is then refused."""
    with path.open("rb") as file:
        return file.read(most + 1)


def record_code(files: Iterable[Path]) -> None:
    """Remember code that fgc generated. Where nothing can be kept, the code is not known later, and commands say so."""
    folder = _record_folder()
    if folder is None:
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in files:
            (folder / _digest(path.read_bytes())).touch()
    except OSError:
        return


def read_code(folder: Path) -> dict[str, bytes]:
    """The Python files of a package by their names. What Python would prefer to them, as caches, is left behind."""
    return {path.name: path.read_bytes() for path in _code_files(folder) if path.parent == folder}


def _refusal(folder: Path, foreign: list[str]) -> str:
    more = f" and {len(foreign) - _NUM_NAMED} more" if len(foreign) > _NUM_NAMED else ""
    named = ", ".join(foreign[:_NUM_NAMED])
    return (
        f"{folder} has Python code that fgc did not generate on this machine: {named}{more}. It can do all that you "
        f"can. Read it; then `fgc trust {folder}` remembers it, or `--trust-remote-code` runs it this once"
    )


def _code_files(folder: Path) -> Iterator[Path]:
    """Returns the files that transformers may load from a folder, however they are named there."""
    for pattern in ("*.py", "custom_generate/*.py"):
        yield from sorted(path for path in folder.glob(pattern) if path.is_file())


def _generates_itself(files: Iterable[Path]) -> bool:
    """Returns True for a folder whose own `generate` transformers would load."""
    return any(path.parent.name == "custom_generate" for path in files)


def _references(folder: Path) -> Iterator[str]:
    """All classes that configurations name for transformers to load, at any depth."""
    for name in _CONFIGS:
        path = folder / name
        if path.is_file() and path.stat().st_size <= _MAX_CONFIG_BYTES:
            try:
                yield from _auto_maps(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, RecursionError):
                continue  # transformers reads none either


def _auto_maps(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item) if key == "auto_map" else _auto_maps(item)
    elif isinstance(value, list):
        for item in value:
            yield from _auto_maps(item)


def _texts(value: Any) -> Iterator[str]:
    """Yields the names in an `auto_map`: text, lists of text, by class."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _module(reference: str) -> str | None:
    """The file's name without `.py`; None for code elsewhere: another repository, another folder."""
    match = _REFERENCE.fullmatch(reference)
    return match[1] if match else None


def _is_known(path: Path) -> bool:
    return _is_known_content(_beginning(path, _MAX_CODE_BYTES))


def _is_known_content(content: bytes) -> bool:
    folder = _record_folder()
    if folder is None or len(content) > _MAX_CODE_BYTES or not _is_private(folder):
        return False
    return (folder / _digest(content)).is_file()


def _is_private(folder: Path) -> bool:
    """Returns True if no other user can have put something into a folder."""
    try:
        status = folder.stat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def _record_folder() -> Path | None:
    """`$XDG_STATE_HOME/fgc/generated`; None for a user without a home."""
    try:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
    except RuntimeError:
        return None
    return base / "fgc/generated"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
