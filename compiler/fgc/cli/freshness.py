"""Builds on disk to whether they are fresh, as `fgc check --generated` says it; loads no stage of the compiler."""

import json
import shlex
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from fgc.builds.freshness import Reason, find_project_of, stale_reasons
from fgc.builds.manifest import Manifest, read_manifest
from fgc.builds.places import Places
from fgc.cli.arguments import CannotRun, variables_of
from fgc.cli.memo import PrintedAnswer
from fgc.workspace.library import root_folders

_FORMATS = ("text", "json")


class _Verdict(Struct, frozen=True):
    folder: str
    manifest: Manifest
    reasons: Sequence[Reason]


def freshness_answer(arguments: Namespace) -> PrintedAnswer:
    """Returns what to say of the builds that `--generated` names: 0 if all are fresh, 1 if not. Raises CannotRun."""
    _require_alone(arguments)
    wanted = variables_of(arguments) or None
    verdicts = [_verdict(Path(name), arguments.project, wanted) for name in arguments.generated]
    code = int(any(verdict.reasons for verdict in verdicts))
    if arguments.format == "json":
        return PrintedAnswer(json.dumps([_plain(verdict) for verdict in verdicts], indent=2) + "\n", "", code)
    return PrintedAnswer("".join(map(_text, verdicts)), "", code)


def _require_alone(arguments: Namespace) -> None:
    if arguments.paths:
        raise CannotRun(f"`--generated` checks builds: omit `{arguments.paths[0]}`, or check it separately")
    if arguments.format not in _FORMATS:
        raise CannotRun(f"`--generated` prints {' or '.join(_FORMATS)}, not {arguments.format}")
    if arguments.dynamic:
        raise CannotRun(f"with `--generated`, give `{arguments.dynamic[0]}` as a variable: `-D name=value`")


def _verdict(folder: Path, project: str | None, wanted: Mapping[str, Any] | None) -> _Verdict:
    manifest = read_manifest(folder)
    if manifest is None:
        is_there = "contains no manifest of a build" if folder.is_dir() else "is not a folder"
        raise CannotRun(f"`{folder}` {is_there}; `fgc build -o {folder}` writes one")
    build = folder.absolute()
    home = Path(project).absolute() if project else find_project_of(build, manifest, Path.cwd())
    if home is None:
        help = "name its project with `-p PROJECT`, or run this there"
        raise CannotRun(f"`{folder}` was built from `{manifest.configuration}`, which is not around here; {help}")
    if wanted is not None:  # variables are compared; what `--set` changed stays as it was
        wanted = {**_settings(manifest), **wanted}
    reasons = tuple(stale_reasons(build, manifest, Places(home.resolve(), root_folders()), wanted))
    return _Verdict(str(folder), manifest, reasons)


def _settings(manifest: Manifest) -> dict[str, Any]:
    """The values that `--set` changed: a manifest has them beside the variables, by the words of the command line."""
    return {name: value for name, value in manifest.arguments.items() if name.startswith("--set ")}


def _plain(verdict: _Verdict) -> dict[str, Any]:
    return {
        "folder": verdict.folder,
        "configuration": verdict.manifest.configuration,
        "fresh": not verdict.reasons,
        "reasons": [asdict(reason) for reason in verdict.reasons],
        "pins": [asdict(pin) for pin in verdict.manifest.pins],
    }


def _text(verdict: _Verdict) -> str:
    manifest = verdict.manifest
    pins = "".join(f"  note: `{pin.name}` is pinned to {pin.value!r} at {pin.place}\n" for pin in manifest.pins)
    if not verdict.reasons:
        inputs, outputs = len(manifest.inputs), len(manifest.outputs)
        return f"`{verdict.folder}` is fresh: {inputs} inputs and {outputs} generated files are as they were\n{pins}"
    lines = "".join(f"  {reason.message}\n" for reason in verdict.reasons)
    return f"`{verdict.folder}` is stale:\n{lines}{pins}{_advice(verdict)}"


def _advice(verdict: _Verdict) -> str:
    manifest = verdict.manifest
    words = ["fgc", "build", manifest.configuration, "-o", verdict.folder]
    for name, value in manifest.arguments.items():
        option, _, path = name.rpartition(" ")
        words += [option or "-D", f"{path}={value}"]
    for name in manifest.targets:
        words += ["--target", name] if name != "main" else []
    words += ["--bundle"] if manifest.is_bundle else []
    words += ["--force"] if any(reason.kind == "edited" for reason in verdict.reasons) else []
    return f"build it again in its project:  {shlex.join(words)}\n"
