"""The folder that a person names in, the folders that hold weights and tokenizer out.

Looks at file names only; nothing is loaded.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_WEIGHTS = (
    "model*.safetensors",
    "model*.safetensors.index.json",
    "pytorch_model*.bin",
    "pytorch_model*.bin.index.json",
)
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")

_NO_MODEL = """{} is not a model folder: it has no config.json and no checkpoints/checkpoint-N.
Give a folder that AutoModelForCausalLM.from_pretrained loads, or the output folder of a training run."""
_ADAPTER = """{} holds an adapter, not a whole model: `fgc convert --merge` makes one of it and its base."""
_NO_WEIGHTS = """{} has a config.json but no weights: no model.safetensors and no checkpoints/checkpoint-N.
Train the model first, or give the output folder of the run that trained it."""
_NO_TOKENIZER = """{} has no tokenizer: no tokenizer.json, tokenizer_config.json or vocabulary file.
Save the tokenizer beside the model with tokenizer.save_pretrained, or name its folder with --tokenizer."""


class FolderError(Exception):
    """A folder holds no model that can be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Says where the parts of a model are; three times the same folder for an ordinary one."""

    name: str
    config: Path
    weights: Path
    tokenizer: Path

    @property
    def checkpoint(self) -> str | None:
        """The name of the checkpoint that holds the weights, if one does."""
        return self.weights.name if _CHECKPOINT.fullmatch(self.weights.name) else None


def find_model(folder: Path, tokenizer: Path | None = None) -> ModelFolder:
    """The model of a folder, or of its newest checkpoint if only that has weights. Raises FolderError.

    A checkpoint has the name of the run that wrote it. The tokenizer is looked for beside the weights, then in the
    run's folder, unless another folder is given.
    """
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder. Give the folder of a model or of a training run.")
    return _model_of(folder, folder if _has_any(folder, _WEIGHTS) else newest_checkpoint(folder), tokenizer)


def find_newest(folder: Path, tokenizer: Path | None = None) -> ModelFolder:
    """Returns a run's newest weights: a checkpoint's, or the finished model's if they were written later.

    Raises FolderError.
    """
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a folder. Give the folder of a training run.")
    finished, checkpoint = folder if _has_any(folder, _WEIGHTS) else None, newest_checkpoint(folder)
    there = [weights for weights in (finished, checkpoint) if weights is not None]
    return _model_of(folder, max(there, key=_time_of_weights, default=None), tokenizer)


def _time_of_weights(folder: Path) -> float:
    """Returns when weights were written; 0 for those that were removed meanwhile."""
    try:
        return max(path.stat().st_mtime for pattern in _WEIGHTS for path in folder.glob(pattern))
    except (OSError, ValueError):
        return 0.0


def has_tokenizer(folder: Path) -> bool:
    return _has_any(folder, _TOKENIZER)


def _model_of(folder: Path, weights: Path | None, tokenizer: Path | None) -> ModelFolder:
    homes = [folder] if weights is None else [weights, folder, *_homes_of(weights)]
    config = _first_with(homes, ("config.json",))
    if config is None:
        is_adapter = (folder / "adapter_config.json").is_file()
        raise FolderError((_ADAPTER if is_adapter else _NO_MODEL).format(folder))
    if weights is None:
        raise FolderError(_NO_WEIGHTS.format(folder))
    found = _first_with(homes if tokenizer is None else [tokenizer], _TOKENIZER)
    if found is None:
        raise FolderError(_NO_TOKENIZER.format(tokenizer or weights))
    return ModelFolder(_name_of(folder), config, weights, found)


@contextmanager
def joined(folder: ModelFolder) -> Iterator[Path]:
    """One folder that has it all: links, if a checkpoint holds the weights and its run the config and model code."""
    if folder.config == folder.weights:
        yield folder.weights
        return
    with TemporaryDirectory(prefix="fgc-model-") as parent:
        whole = Path(parent) / folder.name
        whole.mkdir()
        for path in (*folder.config.iterdir(), *folder.weights.iterdir()):
            if path.is_file():
                (whole / path.name).unlink(missing_ok=True)
                (whole / path.name).symlink_to(path.resolve())
        yield whole


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint with the highest step that has weights; below `checkpoints/` or the folder itself."""
    steps = {
        int(match[1]): path
        for parent in (folder, _checkpoints_of(folder))
        if parent.is_dir()
        for path in parent.iterdir()
        if (match := _CHECKPOINT.fullmatch(path.name)) and _has_any(path, _WEIGHTS)
    }
    return steps[max(steps)] if steps else None


def _checkpoints_of(folder: Path) -> Path:
    """Those of a run; of an output folder those to which its link leads, without links those of the last run."""
    root = folder / "checkpoints"
    if root.is_dir():
        return root
    return max((folder / "runs").glob("*/checkpoints"), key=_time_of_run, default=root)


def _time_of_run(checkpoints: Path) -> str:
    return checkpoints.parent.name.rpartition("_")[2]


def _homes_of(checkpoint: Path) -> list[Path]:
    """The run that wrote a checkpoint and its output folder; both may hold config, model code and tokenizer for all."""
    checkpoint = checkpoint.resolve()
    if not _CHECKPOINT.fullmatch(checkpoint.name):
        return []
    run = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
    return [run, run.parent.parent] if run.parent.name == "runs" else [run]


def _name_of(folder: Path) -> str:
    """A checkpoint or a run is called after its output folder."""
    place = next(iter(_homes_of(folder)), folder.resolve())
    return place.parent.parent.name if place.parent.name == "runs" else place.name


def _first_with(folders: list[Path], patterns: tuple[str, ...]) -> Path | None:
    return next((folder for folder in folders if _has_any(folder, patterns)), None)


def _has_any(folder: Path, patterns: tuple[str, ...]) -> bool:
    return any(next(folder.glob(pattern), None) is not None for pattern in patterns)


def check_adapter(folder: Path) -> None:
    """Raises FolderError if the folder holds no adapter, before anything slow happens."""
    if not (folder / "adapter_config.json").is_file():
        raise FolderError(f"{folder} is no adapter: it has no adapter_config.json. PEFT's save_pretrained writes one.")
