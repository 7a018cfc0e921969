"""The manifest of a folder of shards: what made it, of what, and which files belong to it."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from transformers import PreTrainedTokenizerFast

from fgc_runtime.data.prepared.shards import Shard

MANIFEST, VERIFIED, WORK = "manifest.json", ".verified.json", ".work"
_VERSION = 1
_SHARD = re.compile(r"\d+\.arrow")
_PATIENCE_S = 10.0  # for others that note theirs; who cannot note a file reads it once more


@dataclass(frozen=True, slots=True)
class TokenizerRecord:
    """Identifies the tokenizer that made the ids; `size` counts its tokens."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything that a reader needs to know before it opens a shard."""

    version: int = _VERSION
    target: str
    fingerprint: str  # of the data set that would make the same examples while training reads it
    columns: list[str]  # of an example
    num_examples: int
    num_tokens: int
    tokenizer: TokenizerRecord | None
    sources: dict[str, str]  # hashes by name: of the documents, of files where they are known
    shards: list[Shard]


def write_json(path: Path, content: Any) -> None:
    """Writes a file that is complete or absent."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(json.dumps(content, indent=2).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_manifest(folder: Path) -> Manifest:
    """Returns a folder's manifest. Raises ValueError, saying what to do, for a folder without one of this version."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(_missing(folder))
    try:
        record = json.loads(path.read_bytes())
        if record["version"] != _VERSION:
            version = f"version {record['version']}; this fgc reads version {_VERSION}"
            raise ValueError(f"{path} has {version}: prepare it again")
        made_by = record["tokenizer"]
        record["tokenizer"] = None if made_by is None else TokenizerRecord(**made_by)
        record["shards"] = [Shard(**shard) for shard in record["shards"]]
        if foreign := [shard.name for shard in record["shards"] if not _SHARD.fullmatch(shard.name)]:
            raise KeyError(f"{foreign[0]!r} is no name of a shard")
        return Manifest(**record)
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is no manifest of prepared data: {type(error).__name__}: {error}") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes what makes a folder complete. Raises OSError, also for a full disk."""
    write_json(folder / MANIFEST, asdict(manifest))


def _missing(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} does not exist; `fgc data prepare CONFIG -o FOLDER` writes prepared data"
    if (folder / WORK).is_dir():
        return f"{folder} is not complete: run the same `fgc data prepare` again, and it goes on"
    below = sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))
    if below:
        return f"{folder} holds {', '.join(below)}: name one of these folders, such as {folder / below[0]}"
    return f"{folder} holds no prepared data: it has no {MANIFEST}; `fgc data prepare CONFIG -o FOLDER` writes it"


def tokenizer_record(tokenizer: PreTrainedTokenizerFast) -> TokenizerRecord:
    """Returns what decides a tokenizer's ids. Padding and truncation, which a batch sets, are left out."""
    settings: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    settings |= {"padding": None, "truncation": None}
    special = [tokenizer.bos_token_id, tokenizer.eos_token_id]
    text = json.dumps([settings, special], sort_keys=True)
    name = str(tokenizer.name_or_path) or "one trained on the texts"
    return TokenizerRecord(name, len(tokenizer), hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest())


def require_tokenizer(folder: Path, made_by: TokenizerRecord, tokenizer: PreTrainedTokenizerFast) -> None:
    """Raises ValueError for another tokenizer than the one that made the ids."""
    given = tokenizer_record(tokenizer)
    if given.sha256 == made_by.sha256:
        return
    raise ValueError(
        f"tokenizer: {folder} was prepared with {_described(made_by)}, and this is {_described(given)}: their ids mean "
        f"different texts. The one that made them is kept in {folder.parent / 'tokenizer'}"
    )


def _described(tokenizer: TokenizerRecord) -> str:
    return f"{tokenizer.name} ({tokenizer.size} tokens, sha256 {tokenizer.sha256[:12]})"


def note_verified(folder: Path, times: Mapping[str, list[int]]) -> None:
    """Keeps sizes and times of files whose content was found to be right; where that cannot be written, nothing.

    Several processes may, each for the files that it read.
    """
    with suppress(OSError), FileLock(folder / f"{VERIFIED}.lock", timeout=_PATIENCE_S):
        write_json(folder / VERIFIED, {**verified(folder), **times})


def verified(folder: Path) -> dict[str, list[int]]:
    """Returns by file the size and time at which its content was right."""
    try:
        found = json.loads((folder / VERIFIED).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def time_of(path: Path) -> list[int]:
    """Returns size (bytes) and time of change (nanoseconds) of a file. Raises FileNotFoundError."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
