"""The logs that a command line means: of runs, of output folders, of a whole project."""

from argparse import Namespace
from pathlib import Path

from fgc.cli.arguments import CannotRun
from fgc.cli.logs.records import LOGS, Log, read_log
from fgc.cli.outputs import all_output_folders, output_folder
from fgc.diagnostics import did_you_mean
from fgc.workspace import display_path


def chosen_logs(arguments: Namespace) -> list[Log]:
    """Returns the logs that a command line names: runs, all of the project, or the newest one. Raises CannotRun."""
    if arguments.all and arguments.runs:
        raise CannotRun("`--all` and runs: choose one")
    if arguments.all:
        paths = [path for folder in _folders(arguments, is_all=True) for path in logs_in(folder)]
        if not paths:
            raise CannotRun("there are no logs in the project's output folders")
        return [read_log(path) for path in paths]
    if arguments.runs:
        return [read_log(_named(word, arguments)) for word in arguments.runs]
    [folder] = _folders(arguments, is_all=False)
    paths = logs_in(folder)
    if not paths:
        raise CannotRun(f"there are no logs in `{display_path(folder)}`")
    return [read_log(max(paths, key=lambda path: path.stat().st_mtime))]


def listed_logs(arguments: Namespace) -> list[Log]:
    """Returns all logs of the configuration's output folder, or of all of the project. Raises CannotRun."""
    folders = _folders(arguments, is_all=arguments.all)
    return [read_log(path) for folder in folders for path in logs_in(folder)]


def logs_in(output: Path) -> list[Path]:
    """Returns the logs of an output folder, the oldest run first."""
    return sorted((output / "runs").glob(f"*/{LOGS}"), key=lambda path: path.parent.name.rpartition("_")[2])


def _folders(arguments: Namespace, *, is_all: bool) -> list[Path]:
    if arguments.folder:
        if not Path(arguments.folder).is_dir():
            raise CannotRun(f"there is no folder `{arguments.folder}`")
        return [Path(arguments.folder)]
    arguments.file = None
    return all_output_folders(arguments) if is_all else [output_folder(arguments)]


def _named(word: str, arguments: Namespace) -> Path:
    """The log that a word means: a file, a run's folder, an output folder (its newest run), or a run's name."""
    path = Path(word)
    if path.is_file():
        return path
    if path.is_dir():
        if (path / LOGS).is_file():
            return path / LOGS
        found = logs_in(path)
        if not found:
            raise CannotRun(f"`{word}` contains no {LOGS} and no runs")
        return max(found, key=lambda path: path.stat().st_mtime)
    if "/" in word:
        raise CannotRun(f"there is no run `{word}`")
    [output] = _folders(arguments, is_all=False)
    known = {path.parent.name: path for path in logs_in(output)}
    beginning = [name for name in known if name.startswith(word)]
    if word in known or len(beginning) == 1:
        return known[word if word in known else beginning[0]]
    if beginning:
        raise CannotRun(f"`{word}` is the beginning of {', '.join(beginning)}")
    help = did_you_mean(word, known) or (f"there are {', '.join(known)}" if known else "there is none")
    raise CannotRun(f"there is no run `{word}` in `{display_path(output)}`; {help}")
