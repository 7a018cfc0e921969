"""A trial's values to its program: compiled as `fgc build --set` does it, in this process, from unchanged files."""

import hashlib
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from fgc.builds.manifest import read_manifest
from fgc.cli.arguments import CannotRun
from fgc.cli.building import PROGRAM
from fgc.cli.kept_builds import keep_build
from fgc.cli.memo import Questions
from fgc.cli.select import Selected, select
from fgc.cli.sweeping.space import Dimension, Values
from fgc.diagnostics import Severity, render_text
from fgc.ir import Call, Graph, Literal, reachable
from fgc.questions import open_kept

_ABOUT_THE_BUILD = frozenset({"config.yaml", "graph.json", "manifest.json", f"{PROGRAM}.map.json"})
_ARGUMENTS = ":TrainingArguments"


class TrialBuild(Struct, frozen=True):
    """A program: its folder, what names its text, and the digests of what it was compiled from."""

    folder: Path
    digest: str
    selected: Selected
    inputs: Mapping[str, str]


class Builder:
    """Compiles the configuration that a command line names, with other values each time."""

    def __init__(self, arguments: Namespace) -> None:
        self._arguments = arguments

    def select(self, dimensions: Sequence[Dimension] = (), values: Values | None = None) -> Selected:
        """Compile with a trial's values. Raises CannotRun or ProjectError."""
        chosen = [(each, values[each.name]) for each in dimensions if values and each.name in values]
        settings = {path: text for each, value in chosen for path, text in each.settings(value).items()}
        words = [word for each, value in chosen for word in each.words(value)]
        given = vars(self._arguments)
        changed = {
            "settings": [*given["settings"], *(f"{path}={text}" for path, text in settings.items())],
            "dynamic": [*(given["dynamic"] or ()), *words],
        }
        return select(Namespace(**{**given, **changed}), Questions(open_kept()))

    def build(self, dimensions: Sequence[Dimension], values: Values) -> TrialBuild:
        """Build a trial's program. Raises CannotRun or ProjectError."""
        selected = self.select(dimensions, values)
        if selected.has_errors:
            raise CannotRun(errors_of(selected))
        folder = keep_build(selected)
        if folder is None:
            raise CannotRun("its program cannot be built")
        manifest = read_manifest(folder)
        assert manifest is not None, "a build has a manifest"
        return TrialBuild(folder, _program_digest(folder), selected, manifest.inputs)


def errors_of(selected: Selected) -> str:
    """Returns the errors of a configuration, with their lines."""
    errors = [finding for finding in selected.diagnostics if finding.severity is Severity.ERROR]
    return render_text(errors, use_color=False)


def changed_inputs(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns the files of an earlier build that have another content now."""
    return [name for name, digest in before.items() if now.get(name, digest) != digest]


def training_arguments(graph: Graph) -> dict[str, object]:
    """Returns the training arguments that the main target is given as plain values."""
    call = _arguments_call(graph)
    return {} if call is None else dict(_literals(graph, call))


def never_evaluates(graph: Graph) -> bool:
    """Returns True if the trainer of the main target is told nothing of evaluations, or to make none."""
    call = _arguments_call(graph)
    if call is None:
        return False
    given = [graph[keyword.value] for keyword in call.keywords if keyword.name == "eval_strategy"]
    return call.latent is None and all(isinstance(node, Literal) and node.value == "no" for node in given)


def _arguments_call(graph: Graph) -> Call | None:
    if "main" in graph.targets:
        for node_id in reachable(graph, [graph.targets["main"]]):
            node = graph[node_id]
            if isinstance(node, Call) and node.callee.text.endswith(_ARGUMENTS):
                return node
    return None


def _literals(graph: Graph, call: Call) -> Iterable[tuple[str, object]]:
    for keyword in call.keywords:
        node = graph[keyword.value]
        if isinstance(node, Literal):
            yield keyword.name, node.value


def _program_digest(folder: Path) -> str:
    """Returns the digest of what runs: two ways to the same values give the same program."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        name = str(path.relative_to(folder))
        if name not in _ABOUT_THE_BUILD:
            found.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]
