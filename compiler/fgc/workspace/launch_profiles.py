"""`forgather_workspace/launch.yaml` to profiles: where a training is launched, and with what; mistakes at their places.

The file is plain YAML, no template: a profile by name, whose `backend` says which of the tables here holds its keys.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from fgc.diagnostics import Diagnostic, did_you_mean
from fgc.text import Source, Span
from fgc.workspace.project import WORKSPACE_FOLDER
from fgc.workspace.store import FileStore

LAUNCH_FILE = "launch.yaml"
_CODE = "FGC006"


class KeyRule(Struct, frozen=True):
    """Says what a key takes: the words for it, and the test."""

    words: str
    holds: Callable[[Any], bool]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_nodes(value: Any) -> bool:
    match = re.fullmatch(r"(\d+):(\d+)", value) if isinstance(value, str) else None
    return _is_count(value) or (match is not None and 0 < int(match[1]) <= int(match[2]))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value) and "\n" not in value and "\0" not in value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_environment(value: Any) -> bool:
    names = isinstance(value, dict) and all(re.fullmatch(r"[A-Za-z_]\w*", str(name)) for name in value)
    return names and all(isinstance(item, str | int | float) for item in value.values())


_COUNT = KeyRule("a whole number of at least 1", _is_count)
_TEXT = KeyRule("a text on one line", _is_text)
_TEXTS = KeyRule("a list of texts", _is_texts)
_FOLDER = KeyRule(
    "a folder on each host, such as `/scratch/me` or `~/jobs`; `~` with a name is not followed",
    lambda value: _is_text(value) and (value[0] != "~" or value == "~" or value.startswith("~/")),
)
_FLAG = KeyRule("true or false", lambda value: isinstance(value, bool))
_QUANTITY = KeyRule("a number or a text such as `64G`", lambda value: _is_count(value) or _is_text(value))
_NODES = KeyRule('a number of nodes, or the fewest and the most as `"1:4"`', _is_nodes)
_PROCESSES = KeyRule(
    "a number, `gpu`, `cpu` or `auto`", lambda value: _is_count(value) or value in ("gpu", "cpu", "auto")
)
_ENVIRONMENT = KeyRule("names of variables with a text or a number each", _is_environment)
_TIME = KeyRule(
    'a time limit as Slurm writes it, in quotes: `"30"`, `"04:00:00"`, `"2-00:00:00"`',
    lambda value: isinstance(value, str) and bool(re.fullmatch(r"(\d+-)?\d+(:\d+){0,2}", value)),
)

_COMMON = {
    "backend": _TEXT, "nodes": _NODES, "processes_per_node": _PROCESSES, "environment": _ENVIRONMENT, "setup": _TEXTS,
    "python": _TEXT, "max_restarts": KeyRule("a whole number", lambda value: value == 0 or _is_count(value)),
}  # fmt: skip
BACKENDS: dict[str, dict[str, KeyRule]] = {
    "slurm": {
        **_COMMON, "partition": _TEXT, "account": _TEXT, "qos": _TEXT, "constraint": _TEXT, "time": _TIME,
        "gpus_per_node": _QUANTITY, "cpus_per_task": _COUNT, "memory": _QUANTITY, "signal_before_s": _COUNT,
        "requeue": _FLAG, "sbatch": _TEXTS,
    },
    "ssh": {
        **_COMMON, "hosts": _TEXTS, "shared": _FLAG, "folder": _FOLDER, "address": _TEXT, "port": _COUNT,
        "ssh_options": _TEXTS, "timeout_s": _COUNT,
    },
    "kubernetes": {
        **_COMMON, "image": _TEXT, "base_image": _TEXT, "namespace": _TEXT, "runtime": _TEXT, "gpus_per_node": _COUNT,
        "cpus": _QUANTITY, "memory": _QUANTITY, "volume_claim": _TEXT, "mount": _TEXT,
    },
    "skypilot": {
        **_COMMON, "accelerators": _TEXT, "cloud": _TEXT, "region": _TEXT, "use_spot": _FLAG, "cpus": _QUANTITY,
        "memory": _QUANTITY, "disk_size": _COUNT, "image": _TEXT, "cluster": _TEXT,
    },
    "ray": {
        **_COMMON, "address": _TEXT, "use_gpu": _FLAG, "cpus_per_process": _COUNT, "storage": _TEXT,
    },
}  # fmt: skip
REQUIRED = {"ssh": ("hosts",), "kubernetes": ("image",)}


class Profile(Struct, frozen=True):
    """Describes the machines for a training, and the settings to launch it with."""

    name: str
    backend: str
    values: Mapping[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """Returns what the profile says, or `default`."""
        return self.values.get(key, default)

    @property
    def nodes(self) -> tuple[int, int]:
        """Returns the fewest nodes and the most."""
        nodes = self.values.get("nodes", 1)
        if isinstance(nodes, int):
            return nodes, nodes
        fewest, _, most = nodes.partition(":")
        return int(fewest), int(most)

    @property
    def is_elastic(self) -> bool:
        """Returns True if nodes may come and go."""
        return self.nodes[0] != self.nodes[1]


class Profiles(Struct, frozen=True):
    """All profiles of a workspace, and what is wrong in their file."""

    path: Path
    found: dict[str, Profile]
    diagnostics: tuple[Diagnostic, ...]
    source: Source | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        """Returns the file's text, if there is one."""
        return () if self.source is None else (self.source,)


def read_profiles(workspace: Path, store: FileStore) -> Profiles:
    """Returns the profiles of a workspace; a file that is not there holds none."""
    path = workspace / WORKSPACE_FOLDER / LAUNCH_FILE
    if not store.is_file(path):
        return Profiles(path, {}, ())
    source, problem = store.read(path, LAUNCH_FILE)
    if problem is not None:
        return Profiles(path, {}, (problem,), source)
    try:
        root = yaml.compose(source.text, Loader=yaml.SafeLoader)
        plain = yaml.load(source.text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        at = 0 if error.problem_mark is None else min(error.problem_mark.index, len(source.text))
        return Profiles(path, {}, (Diagnostic(_CODE, f"no YAML: {error.problem}", Span(source, at, at)),), source)
    except (yaml.YAMLError, ValueError) as error:
        return Profiles(path, {}, (Diagnostic(_CODE, f"no YAML: {error}", Span(source, 0, 0)),), source)
    if root is None:
        return Profiles(path, {}, (), source)
    found = tuple(_Checker(source).problems(root, plain))
    profiles = {str(name): _profile(str(name), item) for name, item in plain.items()} if not found else {}
    return Profiles(path, profiles, found, source)


def _profile(name: str, values: dict[str, Any]) -> Profile:
    return Profile(name, values.get("backend", name), values)


class _Checker:
    """One file: YAML nodes, whose places are known, beside the values that they stand for."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def problems(self, root: Any, plain: Any) -> Iterator[Diagnostic]:
        if not isinstance(plain, dict):
            yield self._at(root, f"`{LAUNCH_FILE}` contains profiles by name, as in `gpu: {{ backend: slurm }}`")
            return
        for key, value in root.value:
            yield from self._repeated(root, key)
            item = plain.get(key.value)
            if not isinstance(item, dict):
                yield self._at(value, f"the profile `{key.value}` must be a mapping with `backend`")
            else:
                yield from self._profile(key, value, item)

    def _profile(self, name: Any, node: Any, values: dict[str, Any]) -> Iterator[Diagnostic]:
        backend = values.get("backend", name.value)
        if backend not in BACKENDS:
            place = next((value for key, value in node.value if key.value == "backend"), name)
            help = did_you_mean(str(backend), BACKENDS) or f"there are: {', '.join(BACKENDS)}"
            yield self._at(place, f"`{backend}` is not a backend", help)
            return
        rules = BACKENDS[backend]
        for key, value in node.value:
            yield from self._repeated(node, key)
            if key.value not in rules:
                help = did_you_mean(key.value, rules) or f"its keys: {', '.join(sorted(rules))}"
                yield self._at(key, f"a profile of `{backend}` has no key `{key.value}`", help)
            elif not rules[key.value].holds(values.get(key.value)):
                yield self._at(value, f"`{key.value}` must be {rules[key.value].words}")
        for required in REQUIRED.get(backend, ()):
            if required not in values:
                yield self._at(name, f"a profile of `{backend}` needs `{required}`")
        if backend == "ssh" and values.get("shared") is False and "folder" not in values:
            yield self._at(name, "`shared: false` needs `folder`: the folder for the build on each host")

    def _repeated(self, mapping: Any, key: Any) -> Iterator[Diagnostic]:
        first = next(other for other, _ in mapping.value if other.value == key.value)
        if first is not key:
            yield self._at(key, f"`{key.value}` is here twice: the first value would be lost")

    def _at(self, node: Any, message: str, help: str | None = None) -> Diagnostic:
        first, last = node.start_mark.index, max(node.end_mark.index, node.start_mark.index)
        end = self._source.text.find("\n", first, last)
        return Diagnostic(_CODE, message, Span(self._source, first, end if end >= 0 else last), help=help)
