"""Follows a call of `fgc:from_project` to the other project, where the explanation continues."""

from typing import Any

from msgspec import Struct

from fgc.explain.pairs import named, tag_kind, target_of
from fgc.explain.values import plain_value
from fgc.pipeline.imports.request import FROM_PROJECT, PARAMETERS
from fgc.yaml import Node


class Elsewhere(Struct, frozen=True):
    """A path in a configuration of another project, whose folder is relative to the asking project."""

    project_dir: str
    config: str | None
    variables: dict[str, Any]
    path: str


def is_taken(node: Node) -> bool:
    """Returns True if a value is an object of another project."""
    target = target_of(node)
    label = target.tag.text if target is not None and target.tag is not None else ""
    return tag_kind(target) == "meta" and label.partition(":")[2].partition("@")[0] == FROM_PROJECT


def elsewhere(node: Node, rest: str) -> Elsewhere | None:
    """Returns the target of the rest of a path; None if the call is incomplete, or has several targets and no name."""
    given = {name: plain_value(candidates[-1].value) for name, candidates in named(node).items()}
    values = {name: given.get(name, given.get(f"arg{place}")) for place, name in enumerate(PARAMETERS)}
    folder, config, targets = values["project_dir"], values["config"], values["targets"] or "main"
    variables = values["variables"] or {}
    if not isinstance(folder, str) or not isinstance(config, str | None) or not isinstance(variables, dict):
        return None
    if isinstance(targets, str):
        return Elsewhere(folder, config, variables, targets + rest)
    path = rest.removeprefix(".")
    return Elsewhere(folder, config, variables, path) if path else None
