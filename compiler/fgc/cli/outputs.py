"""The folders into which configurations train, and the checkpoints in them; loads nothing of the runtime."""

import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.cli.projects import chosen_project
from fgc.cli.select import select
from fgc.ir import Graph
from fgc.patterns import regex
from fgc.pipeline.metadata import meta_value
from fgc.workspace import FileStore

_CHECKPOINT = regex(r"checkpoint-(\d+)")
_TRAINING_STATE = regex(r"training_state\.pt|(trainer_state|checkpoint|log_history)\.json")


class Checkpoint(Struct, frozen=True):
    """A complete checkpoint on disk."""

    step: int
    folder: Path

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    @property
    def model_files(self) -> list[Path]:
        """Returns what `from_pretrained` needs: all but the state of the training."""
        return [path for path in self.files if not _TRAINING_STATE.fullmatch(path.name)]

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def output_folder(arguments: Namespace) -> Path:
    """Returns where the chosen configuration trains to. Raises CannotRun or ProjectError."""
    selected = select(arguments, checks_calls=False)
    folder = output_dir_of(selected.compilation.graph)
    if folder is None:
        raise CannotRun(f"`{selected.name}` has no `output_dir` in its target `meta`")
    return selected.folder / folder


def all_output_folders(arguments: Namespace) -> list[Path]:
    """Returns where all configurations of the project train to. Raises CannotRun or ProjectError."""
    project = chosen_project(arguments, FileStore(checks_calls=False))
    graphs = [project.compile(name, {}).graph for name in project.configurations]
    folders = [project.folder / folder for graph in graphs if (folder := output_dir_of(graph)) is not None]
    if not folders:
        raise CannotRun(f"no configuration of `{project.name}` has an `output_dir` in its target `meta`")
    return list(dict.fromkeys(folders))


def common_folder(folders: Sequence[Path]) -> Path:
    """The folder that holds all of them; of one, the folder around it."""
    return folders[0].parent if len(folders) == 1 else Path(os.path.commonpath(folders))


def output_dir_of(graph: Graph) -> str | None:
    value = meta_value(graph, "output_dir")
    return value if isinstance(value, str) and value else None


def checkpoints_in(output: Path) -> list[Checkpoint]:
    """The checkpoints of a run, or of that run of an output folder which saved last; the lowest step first."""
    root = output / "checkpoints"
    if not root.is_dir():  # a file system without links: names of runs end in their time
        root = max((output / "runs").glob("*/checkpoints"), key=_time_of_run, default=root)
    paths = list(root.iterdir()) if root.is_dir() else []
    found = [(match, path) for path in paths if (match := _CHECKPOINT.fullmatch(path.name)) and path.is_dir()]
    return sorted((Checkpoint(int(match[1]), path) for match, path in found), key=lambda checkpoint: checkpoint.step)


def _time_of_run(checkpoints: Path) -> str:
    return checkpoints.parent.name.rpartition("_")[2]


def choose(output: Path, step: str) -> Checkpoint:
    """A checkpoint by its step, or the latest one. Raises CannotRun."""
    found = checkpoints_in(output)
    if not found:
        raise CannotRun(f"there are no checkpoints in `{output / 'checkpoints'}`")
    if step == "latest":
        return found[-1]
    for checkpoint in found:
        if step in (str(checkpoint.step), checkpoint.folder.name):
            return checkpoint
    raise CannotRun(f"there is no checkpoint {step}; there are {', '.join(str(item.step) for item in found)}")


def link_model(checkpoint: Checkpoint, folder: Path) -> list[str]:
    """Make a folder's model that of a checkpoint, by links; files that are no links stay. Raises CannotRun."""
    files = checkpoint.model_files
    in_the_way = [
        path.name for path in files if (folder / path.name).exists() and not (folder / path.name).is_symlink()
    ]
    if in_the_way:
        names = ", ".join(in_the_way)
        raise CannotRun(f"`{folder}` contains other files: {names}; choose another folder: `--into FOLDER`")
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        fresh = folder / f".{path.name}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.path.relpath(path, folder.resolve()))
        fresh.replace(folder / path.name)
    return [path.name for path in files]


def readable_size(size_bytes: float) -> str:
    """`1.5 GB`, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
