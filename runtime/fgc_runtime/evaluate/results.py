"""Results to files beside the run that trained a model, or beside the model; none is ever overwritten."""

import itertools
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fgc_runtime.evaluate.arguments import Options
from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.runs.record import model_of, versions

FOLDER = "evaluations"
_FORMAT = 1
_PACKAGES = ("lm_eval",)


@dataclass(frozen=True, slots=True)
class Place:
    """Says where results go, and what they tell of the model: which it is, which run trained it, for how many steps."""

    path: Path | None  # that the user names
    folder: Path
    model: str
    run: str | None = None
    step: int | None = None


def place_of(options: Options) -> Place:
    """Returns where the results of a command line go. Raises EvaluationError for a file that is there already."""
    path = options.output
    if path is not None and path.exists():
        raise EvaluationError(f"--output {path} is there already: results are never overwritten")
    if options.is_remote:
        return Place(path, Path(FOLDER), str(options.model))
    model = Path(str(options.model))
    run, step = run_of(model)
    home = run or (model if model.is_dir() else Path())
    return Place(path, home / FOLDER, str(model), run.name if run else None, step)


def run_of(model: Path) -> tuple[Path | None, int | None]:
    """The run that trained a folder's model and its step: of a run, a checkpoint of one, or an output folder."""
    resolved = model.resolve()
    if (resolved / "run.json").is_file():
        return model, None
    home, step = resolved.parent.parent, resolved.name.removeprefix("checkpoint-")
    if step.isdecimal() and (home / "run.json").is_file():
        return home, int(step)
    return model_of(model)


def keep(place: Place, results: Mapping[str, Any]) -> Path:
    """Writes results into a file of their own and returns it. Raises EvaluationError if that cannot be done."""
    record = {
        "format": _FORMAT,
        "evaluated_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "model": place.model,
        "run": place.run,
        "step": place.step,
        "versions": versions(*_PACKAGES),
        **results,
    }
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    try:
        if place.path is not None:
            place.path.parent.mkdir(parents=True, exist_ok=True)
            with place.path.open("x", encoding="utf-8") as file:
                file.write(text)
            return place.path
        return _write_new(place.folder, text)
    except OSError as error:
        where = place.path or place.folder
        raise EvaluationError(f"{where} cannot be written: {error.strerror or error}; name a file: --output") from None


def _write_new(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    stem = time.strftime("%Y-%m-%dT%H-%M-%S")
    for path in itertools.chain([folder / f"{stem}.json"], (folder / f"{stem}_{n}.json" for n in itertools.count(2))):
        with suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
            file.write(text)
            return path
    raise AssertionError("there is always a further number")
