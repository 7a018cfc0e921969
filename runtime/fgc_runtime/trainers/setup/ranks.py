"""Compares arguments and data of all processes before the first step, and names the difference.

Processes with different data, rates or programs would together compute something that none of them was told to.
"""

import hashlib
import json
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fgc_runtime.data.windows import length_of
from fgc_runtime.distributed import World
from fgc_runtime.runs import versions
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.checkpoints.fingerprint import program_hashes

_OF_A_PLACE = ("output_dir", "logging_dir", "device")  # may differ between machines
_MOST_SENTENCES = 8
_PATIENCE_S = 30.0  # until a file of another machine appears: network file systems cache missing files


class RanksDiffer(Exception):
    """Processes of one training that were started with different arguments, data or programs."""


def common_facts(
    args: TrainingArguments, train_dataset: Any, eval_dataset: Any, callbacks: Sequence[object]
) -> dict[str, object]:
    """Returns, by name, what must be equal on all processes and is known before there is a model."""
    arguments = {name: value for name, value in asdict(args).items() if name not in _OF_A_PLACE}
    return {
        **{f"argument {name}": value for name, value in arguments.items()},
        **{f"version of {name}": value for name, value in versions().items()},
        **{f"file {name}": value for name, value in program_hashes().items()},
        "length of train_dataset": length_of(train_dataset),
        "length of eval_dataset": length_of(eval_dataset),
        "callbacks": [type(callback).__qualname__ for callback in callbacks],
    }


def require_equal(world: World, facts: Mapping[str, object]) -> None:
    """Raises RanksDiffer, on all processes, if the facts of any process differ from the main one's."""
    if world.size == 1:
        return
    own: dict[str, object] = json.loads(json.dumps(facts, default=str, sort_keys=True))
    digest = hashlib.sha256(json.dumps(own).encode()).hexdigest()
    if len(set(world.gather(digest))) == 1:
        return
    first, *others = world.gather((socket.gethostname(), own))
    sentences = [
        sentence
        for rank, (host, theirs) in enumerate(others, start=1)
        for sentence in _differences(f"process {rank} ({host})", theirs, first[1])
    ]
    more = f"\n  and {len(sentences) - _MOST_SENTENCES} more" if len(sentences) > _MOST_SENTENCES else ""
    listed = "".join(f"\n  {sentence}" for sentence in sentences[:_MOST_SENTENCES])
    raise RanksDiffer(f"processes of this training differ from process 0 ({first[0]}):{listed}{more}")


def require_one_folder(world: World, folder: Path) -> None:
    """Raises OSError, on all processes, if `folder` is not the same folder for all of them.

    The main process writes a token there, which all others must find.
    """
    if world.size == 1:
        return
    path, token = folder / ".token", world.from_main(secrets.token_hex(8))
    if world.is_main:
        path.write_text(token, encoding="ascii")
    world.wait()
    places = world.gather((socket.gethostname(), _finds(path, token)))
    if world.is_main:
        path.unlink(missing_ok=True)
    blind = [f"{rank} ({host})" for rank, (host, is_found) in enumerate(places) if not is_found]
    if blind:
        raise OSError(
            f"{folder} must be one folder for all processes, on a disk that all machines share: what process 0 "
            f"({places[0][0]}) writes there, process {', '.join(blind)} does not find"
        )


def _differences(who: str, theirs: Mapping[str, object], first: Mapping[str, object]) -> list[str]:
    nothing = "nothing"
    names = sorted({*theirs, *first})
    pairs = [(name, theirs.get(name, nothing), first.get(name, nothing)) for name in names]
    return [f"{who}: {name} is {_shown(own)}, and {_shown(main)}" for name, own, main in pairs if own != main]


def _shown(value: object) -> str:
    return value[:19] if isinstance(value, str) and value.startswith("sha256:") else str(value)


def _finds(path: Path, token: str) -> bool:
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        with suppress(OSError, UnicodeDecodeError):
            if path.read_text(encoding="ascii") == token:
                return True
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.2)
