"""Names of tasks to tasks of lm-evaluation-harness, each with its data, before any model is loaded.

The harness skips a file that it cannot read, and then knows no task of that name; here the file is told. Data files
that a task names are looked for beside its own file first. Python code of tasks runs only where it may (`task_code`).
"""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import datasets
import yaml
from lm_eval.tasks import TaskManager
from lm_eval.tasks._factory import TaskFactory
from lm_eval.tasks._index import Entry, TaskIndex
from lm_eval.tasks._yaml_loader import load_yaml

from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.evaluate.quiet import quiet
from fgc_runtime.evaluate.task_code import only_code_that_may_run, require_task_code, sandbox_templates
from fgc_runtime.trust import UntrustedCode

_NUM_CLOSE = 5
_PICKLES = "pandas"  # the format whose files are pickles
_LOCAL_FORMATS = frozenset({"json", "csv", "parquet", "text", "arrow", "imagefolder", "audiofolder"})


@dataclass(frozen=True, slots=True)
class ChosenTasks:
    """The tasks that are asked for, loaded: `names` as they were given, `loaded` as the harness evaluates them."""

    names: tuple[str, ...]
    loaded: Mapping[str, Any]
    manager: TaskManager

    @property
    def is_generating(self) -> bool:
        """Returns True if some task lets the model write."""
        return any(task.OUTPUT_TYPE.startswith("generate") for task in self.loaded["tasks"].values())


class Tasks:
    """All tasks that there are: those of the user's folders, and those of the harness.

    Raises EvaluationError for a folder that is none, and for files in it that cannot be read; UntrustedCode for Python
    code in it that may not run.
    """

    def __init__(self, folders: Sequence[Path], *, is_told: bool | None = None) -> None:
        self._folders = [folder.absolute() for folder in folders]
        self._is_told = is_told
        sandbox_templates()
        for folder in self._folders:
            _check_folder(folder, is_told)
        self._local: dict[str, Entry] = TaskIndex.build(self._folders)

    @property
    def names(self) -> list[str]:
        """Returns all names: tasks, groups and tags."""
        return sorted({*self._local, *self._all.all_tasks})

    def chosen(self, names: Sequence[str]) -> ChosenTasks:
        """Loads tasks with their data.

        Raises EvaluationError for an unknown name, with those that are close, and UntrustedCode for code that a task
        names and that may not run.
        """
        is_local = all(name in self._local and self._local[name].yaml_path for name in names)
        manager = self._only_local if is_local else self._all
        for name in names:
            if name not in manager.task_index:
                raise EvaluationError(_unknown(name, self._all.all_tasks, self._local))
        loaded: dict[str, dict[str, Any]] = {"tasks": {}, "groups": {}, "group_map": {}}
        for name in names:
            with only_code_that_may_run(self._is_told):
                found = _loaded(manager, name)
            for kind, items in found.items():
                loaded[kind].update(items)
        return ChosenTasks(tuple(names), loaded, manager)

    @cached_property
    def _all(self) -> TaskManager:
        return self._manager(has_defaults=True)

    @cached_property
    def _only_local(self) -> TaskManager:
        return self._manager(has_defaults=False)

    def _manager(self, *, has_defaults: bool) -> TaskManager:
        manager = TaskManager(include_path=list(self._folders), include_defaults=has_defaults)
        manager._factory = _FactoryBesideFiles(self._folders)
        return manager


class _FactoryBesideFiles(TaskFactory):  # type: ignore[misc]  # the harness has no types
    """Makes tasks whose data files lie beside the file that names them."""

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__()
        self._folders = folders

    def _load_full_config(self, entry: Entry, overrides: dict[str, Any] | None) -> dict[str, Any]:
        config: dict[str, Any] = super()._load_full_config(entry, overrides)
        path = entry.yaml_path
        if path is not None and any(Path(path).is_relative_to(folder) for folder in self._folders):
            options = dict(config.get("dataset_kwargs") or {})
            found = {
                name: _beside(Path(path).parent, options[name])
                for name in ("data_files", "data_dir")
                if name in options
            }
            if found:
                config["dataset_kwargs"] = {**options, **found}
        return config


def _beside(folder: Path, files: Any) -> Any:
    """A file name as it lies in a folder, if it is there; the same in lists and mappings."""
    if isinstance(files, str):
        return str(folder / files) if (folder / files).exists() else files
    if isinstance(files, list):
        return [_beside(folder, file) for file in files]
    if isinstance(files, dict):
        return {split: _beside(folder, file) for split, file in files.items()}
    return files


def _check_folder(folder: Path, is_told: bool | None) -> None:
    if not folder.is_dir():
        raise EvaluationError(f"--task-folder {folder} is not a folder: give a folder with YAML files of tasks")
    files = sorted(folder.rglob("*.yaml"))
    if not files:
        raise EvaluationError(f"--task-folder {folder} holds no .yaml file")
    code = sorted(folder.rglob("*.py"))
    for place in dict.fromkeys(path.parent for path in code):
        require_task_code([path for path in code if path.parent == place], is_told)
    for file in files:
        _check_file(file)


def _check_file(file: Path) -> None:
    """Raises EvaluationError, with the place, for a file that the harness would silently skip."""
    try:
        config = load_yaml(file, resolve_func=False, recursive=True)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(file)
        raise EvaluationError(f"{place} is not valid YAML: {error.problem or error}") from None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise EvaluationError(f"{file} cannot be read: {type(error).__name__}: {error}") from None
    if _PICKLES in _data_sets(config):
        raise EvaluationError(f"{file}: `dataset_path: {_PICKLES}` reads pickles, which can run code: write parquet")


def _data_sets(config: Any) -> Iterator[str]:
    """Yields the data sets of a task, or of all tasks inside a group."""
    if isinstance(config, dict):
        yield str(config.get("dataset_path"))
    inside = config.get("task") if isinstance(config, dict) else None
    for item in inside if isinstance(inside, list) else ():
        yield from _data_sets(item)


def _unknown(name: str, names: Iterable[str], local: Mapping[str, Entry]) -> str:
    every = sorted({*names, *local})
    close = difflib.get_close_matches(name, every, n=_NUM_CLOSE, cutoff=0.6)
    close = close or [each for each in every if name.lower() in each.lower()][:_NUM_CLOSE]
    help = f"did you mean {', '.join(close)}?" if close else "`fgc eval --list-tasks` prints all"
    return f"there is no task {name}; {help}"


def _loaded(manager: TaskManager, name: str) -> dict[str, Any]:
    datasets.disable_progress_bars()
    try:
        with quiet():
            found: dict[str, Any] = manager.load([name])
    except (EvaluationError, UntrustedCode):
        raise
    except Exception as error:  # anything: data sets, Python of tasks, fields that the harness does not know
        raise EvaluationError(_why_not(manager, name, error)) from error
    return found


def _why_not(manager: TaskManager, name: str, error: Exception) -> str:
    entry = manager.task_index[name]
    place = f" ({entry.yaml_path})" if entry.yaml_path else ""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    data_set = (entry.cfg or {}).get("dataset_path")
    if data_set is not None and data_set not in _LOCAL_FORMATS and _is_of_network(error):
        is_offline = any(os.environ.get(each) == "1" for each in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"))
        why = "HF_HUB_OFFLINE is set" if is_offline else "there is no network, or it does not answer"
        return f"task {name} needs the data set {data_set} of the Hugging Face Hub, which is not in the cache: {why}"
    return f"task {name}{place} cannot be loaded: {type(error).__name__}: {reason}"


def _is_of_network(error: BaseException | None) -> bool:
    """Returns True if an error, or what caused it, is one of connections, or of a cache that has not what is wanted."""
    while error is not None:
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & {
            "ConnectionError",
            "OfflineModeIsEnabled",
            "LocalEntryNotFoundError",
            "ConnectError",
            "TimeoutError",
        }:
            return True
        if "DatasetNotFoundError" in names or "Couldn't reach" in str(error) or "offline" in str(error).lower():
            return True
        error = error.__cause__ or error.__context__
    return False
