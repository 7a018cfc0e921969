"""The folder that a command reads a model from, and the one that it may write to."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from fgc.cli.arguments import CannotRun
from fgc.reading import read_json


def source_config(source: Path) -> dict[str, Any]:
    """The configuration of a model's folder. Raises CannotRun."""
    if not source.is_dir():
        raise CannotRun(f"`{source}` is not a folder: name the folder of a model, with config.json and weights")
    file = source / "config.json"
    if not file.is_file():
        raise CannotRun(f"`{source}` has no config.json: name the folder of a saved model")
    try:
        config = read_json(file)
    except ValueError as error:
        raise CannotRun(f"`{file}` is not valid JSON: {error}") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise CannotRun(f"`{file}` has no `model_type`: it is not the configuration of a model")
    return config


def target_folder(arguments: Namespace, source: Path) -> Path:
    """Returns the folder to write: a new one, an empty one, or one whose model may go. Raises CannotRun."""
    target = Path(arguments.target)
    here, there = source.resolve(), target.resolve()
    if here == there or there.is_relative_to(here) or here.is_relative_to(there):
        raise CannotRun(f"`{target}` and `{source}` must not contain each other")
    if target.exists() and not target.is_dir():
        raise CannotRun(f"`{target}` is a file, not a folder")
    if arguments.dry_run or not target.exists() or not any(target.iterdir()):
        return target
    if not (target / "config.json").is_file():
        raise CannotRun(f"`{target}` is not empty and contains no model: it is never replaced, choose another folder")
    if not arguments.force:
        raise CannotRun(f"`{target}` already contains a model: `--force` replaces it")
    return target
