"""The inputs and outputs of a build, as `manifest.json` records them; the same text on every machine."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct, field

from fgc import __version__
from fgc.installed import installed_version
from fgc.reading import read_json

MANIFEST = "manifest.json"
GRAPH = "graph.json"  # the graph of the configuration, with all its targets
_FORMAT = 1
Value: TypeAlias = str | int | float | bool | None


class Pin(Struct, frozen=True):
    """A value of the building machine fixed in a program: the expression, its value, and where it was needed."""

    name: str
    value: str
    place: str
    reason: str


class BuildRecord(Struct, frozen=True):
    """The inputs of a build.

    `configuration` is its template, relative to the project. `inputs` maps names (see `places`) to the texts that were
    read. `absent` maps names that were not found to the input that was found instead, or to None.
    """

    targets: Sequence[str] = ()
    inputs: Mapping[str, str | bytes] = field(default_factory=dict)
    arguments: Mapping[str, Value] = field(default_factory=dict)
    pins: Sequence[Pin] = ()
    configuration: str = ""
    absent: Mapping[str, str | None] = field(default_factory=dict)
    is_bundle: bool = False


class Manifest(Struct, frozen=True):
    """A manifest as it was read; `inputs` and `outputs` map names to hashes, `black` is the version of Black."""

    fgc: str
    configuration: str
    targets: tuple[str, ...]
    arguments: Mapping[str, Any]
    pins: tuple[Pin, ...]
    inputs: Mapping[str, str]
    absent: Mapping[str, str | None]
    outputs: Mapping[str, str]
    is_bundle: bool = False
    black: str | None = None


def manifest_text(outputs: Mapping[str, bytes], record: BuildRecord) -> bytes:
    """Returns the manifest of a build with these files."""
    manifest = {
        "format": _FORMAT,
        "fgc": __version__,
        "black": installed_version("black"),
        "configuration": record.configuration,
        "targets": list(record.targets),
        "bundle": record.is_bundle,
        "arguments": dict(record.arguments),
        "pins": [{name: getattr(pin, name) for name in Pin.__struct_fields__} for pin in record.pins],
        "inputs": {name: content_hash(content) for name, content in record.inputs.items()},
        "absent": dict(record.absent),
        "outputs": {name: content_hash(content) for name, content in outputs.items()},
    }
    return (json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def read_manifest(folder: Path) -> Manifest | None:
    """Returns the manifest of a build; None if the folder has none that can be read."""
    try:
        found = read_json(folder / MANIFEST)
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("format") != _FORMAT or not isinstance(found.get("outputs"), dict):
        return None
    try:
        return Manifest(
            fgc=str(found.get("fgc", "")),
            configuration=str(found.get("configuration", "")),
            targets=tuple(map(str, found.get("targets", ()))),
            arguments=dict(found.get("arguments", {})),
            pins=tuple(
                Pin(**{name: str(pin[name]) for name in Pin.__struct_fields__}) for pin in found.get("pins") or ()
            ),
            inputs={str(name): str(known) for name, known in dict(found.get("inputs", {})).items()},
            absent=dict(found.get("absent", {})),
            outputs={str(name): str(known) for name, known in found["outputs"].items()},
            is_bundle=bool(found.get("bundle")),
            black=None if found.get("black") is None else str(found["black"]),
        )
    except (TypeError, ValueError, KeyError):
        return None


def content_hash(content: str | bytes) -> str:
    """Returns the hash that a manifest records for a file."""
    raw = content.encode("utf-8") if isinstance(content, str) else content
    return "sha256:" + hashlib.sha256(raw).hexdigest()
