"""The model package that a configuration describes, written beside nothing: to look at it, and to convert into it."""

import json
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.cli.runtime_process import run_module
from fgc.cli.select import Selected, hidden_options, report, select
from fgc.emit.model import expand_model_package
from fgc.ir import Graph, NodeId
from fgc.pipeline.models import MODEL_PACKAGE, model_nodes
from fgc.workspace import ProjectError

_MODULE = "fgc_runtime.models"


def show_model(arguments: Namespace) -> int:
    """Print what a model is made of and costs; the exit code. Raises CannotRun."""
    words = ["--changes", json.dumps(_changes(arguments.set)), *_words(arguments)]
    path = None if arguments.file is None else Path(arguments.file)
    if path is not None and path.is_dir() and arguments.project is None:
        if arguments.dynamic or arguments.target:
            raise CannotRun(f"`{path}` is a model's folder: it has no configuration options and no `--target`")
        return run_module(_MODULE, [str(_model_folder(path)), *words, *_trust(arguments.trust_remote_code)])
    try:
        selected = select(arguments)
    except ProjectError as error:
        report(error.diagnostics)
        return 2
    print(hidden_options(arguments, selected), end="", file=sys.stderr)
    report(selected.diagnostics)
    if selected.has_errors:
        return 1
    with package_of(selected, arguments.target) as package:
        if package is None:
            return 1
        computed = [name for name in package.computed_fields if name not in _changes(arguments.set)]
        if computed:
            note = f"fgc: the program computes {', '.join(computed)}; shown with the class's default, `--set` another"
            print(note, file=sys.stderr)
        is_trusted = arguments.trust_remote_code is not False  # this command generated the code
        return run_module(_MODULE, [str(package.folder), *words, *_trust(is_trusted)])


class WrittenPackage(Struct, frozen=True):
    """A model package in a folder; `computed_fields` of its configuration have their values from the program."""

    folder: Path
    computed_fields: tuple[str, ...]


@contextmanager
def package_of(selected: Selected, target: str | None) -> Iterator[WrittenPackage | None]:
    """The model package in a temporary folder; None if something in it is wrong, which has been reported."""
    node = _model_node(selected, target)
    graph, files = selected.compilation.graph, selected.python_files
    where = (files.read_python, files.component_folders)
    outcome = expand_model_package(graph, node, *where, selected.template)
    if outcome.value is None:
        report(outcome.diagnostics)
        yield None
        return
    parent = Path(tempfile.mkdtemp(prefix="fgc-model-"))
    try:
        for name, text in outcome.value.files.items():
            (parent / name).parent.mkdir(exist_ok=True)
            (parent / name).write_text(text, encoding="utf-8")
        described = outcome.value.description
        yield WrittenPackage(parent / described.name, tuple(entry.name for entry in described.runtime))
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def _model_node(selected: Selected, target: str | None) -> NodeId:
    graph = selected.compilation.graph
    found = model_nodes(graph)
    if target is not None:
        if graph.targets.get(target) not in found:
            raise CannotRun(f"`{target}` is not a target of `{selected.name}` that defines a model; {_targets(graph)}")
        return graph.targets[target]
    if not found:
        raise CannotRun(f"`{selected.name}` describes no model: it has no `!meta:{MODEL_PACKAGE}`")
    if len(found) > 1:
        raise CannotRun(f"`{selected.name}` defines {len(found)} models: choose one with `--target`; {_targets(graph)}")
    return found[0]


def _targets(graph: Graph) -> str:
    found = set(model_nodes(graph))
    names = [f"`{name}`" for name, node in graph.targets.items() if node in found]
    return f"its models: {', '.join(names) or 'none that is a target'}"


def _model_folder(path: Path) -> Path:
    """The folder itself, or the one package in a build."""
    if (path / "config.json").is_file() or any(path.glob("configuration_*.py")):
        return path
    packages = [file.parent for file in sorted(path.glob("*/configuration_*.py"))]
    if len(packages) == 1:
        return packages[0]
    if packages:
        raise CannotRun(f"`{path}` contains several models: {', '.join(str(item) for item in packages)}")
    raise CannotRun(
        f"`{path}` contains no model: no config.json, and no configuration_*.py in it or in a subfolder.  "
        "Give a Hugging Face model folder, the folder of a build, or a configuration"
    )


def _changes(definitions: Sequence[str]) -> dict[str, Any]:
    """Configuration fields from `--set`; values are JSON, else text. Raises CannotRun."""
    changes: dict[str, Any] = {}
    for definition in definitions:
        name, equals, value = definition.partition("=")
        if not equals or not name.isidentifier():
            raise CannotRun(f"`--set {definition}` must be FIELD=VALUE, such as `num_hidden_layers=80`")
        try:
            changes[name] = json.loads(value)
        except ValueError:
            changes[name] = value
    return changes


def _words(arguments: Namespace) -> list[str]:
    words = []
    for name in ("max_depth", "batch_size", "sequence_length", "dtype", "optimizer", "format"):
        value = getattr(arguments, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def _trust(is_told: bool | None) -> list[str]:
    """The words that say whether code in a folder may run."""
    return [] if is_told is None else ["--trust-remote-code" if is_told else "--no-trust-remote-code"]
