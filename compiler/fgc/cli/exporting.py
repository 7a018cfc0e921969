"""A model to a GGUF file: a package becomes a Hugging Face folder first, which lasts as long as the command."""

import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from fgc.cli.arguments import CannotRun
from fgc.cli.converting import convert
from fgc.cli.model_folders import source_config
from fgc.cli.runtime_process import run_module

_MODULE = "fgc_runtime.export"


def to_gguf(arguments: Namespace) -> int:
    """Write the file; the exit code. Raises CannotRun."""
    source = Path(arguments.source)
    source_config(source)
    _refuse(arguments, ("dry_run", "ignore", "merge", "base"), "`--to gguf`")
    target = _target(arguments)
    model_type = arguments.to.partition(":")[2] or None
    words = ["--name", arguments.name or source.resolve().name]
    for option, value in (("--dtype", arguments.dtype), ("--rule", arguments.gguf_pre)):
        words += [] if value is None else [option, value]
    if not any(source.glob("configuration_*.py")):
        if model_type is not None:
            raise CannotRun(f"`--to gguf:{model_type}` is for packages of fgc; `{source}` already has an architecture")
        _refuse(arguments, ("explain", "templates"), "`--to gguf` of a Hugging Face folder, which needs no table,")
        return _export(source, target, words)
    with tempfile.TemporaryDirectory(prefix=".fgc-gguf-", dir=target.parent) as parent:
        folder = Path(parent) / source.resolve().name
        changed = {"target": str(folder), "to": model_type, "dtype": None, "gguf_pre": None, "force": False}
        code = convert(Namespace(**{**vars(arguments), **changed}))
        return code or _export(folder, target, words)


def _refuse(arguments: Namespace, names: Sequence[str], what: str) -> None:
    """Raises CannotRun for an option that would do nothing."""
    for name in names:
        if getattr(arguments, name):
            raise CannotRun(f"{what} takes no `--{name.replace('_', '-')}`")


def _export(source: Path, target: Path, words: Sequence[str]) -> int:
    return run_module(_MODULE, ["gguf", str(source), str(target), *words])


def _target(arguments: Namespace) -> Path:
    """The file to write. Raises CannotRun for one that is there already, or has no place."""
    if arguments.target is None:
        raise CannotRun("DST is missing: name the file to write, such as `model.gguf`")
    target = Path(arguments.target).absolute()
    if target.suffix != ".gguf":
        raise CannotRun(f"`{arguments.target}` must end with .gguf: `--to gguf` writes one file")
    if target.is_dir() or (target.exists() and not arguments.force):
        raise CannotRun(f"`{arguments.target}` is there already: `--force` replaces a file")
    if not target.parent.is_dir():
        raise CannotRun(f"there is no folder `{target.parent}`")
    return target
