"""Says what matched in a conversion: the table, what became of each field, and why other tables did not fit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fgc_runtime.convert.fields import value_at
from fgc_runtime.convert.tables import Architecture


def to_package_text(theirs: Mapping[str, Any], architecture: Architecture) -> str:
    """Returns what each field of an architecture's configuration is in the package, a line each."""
    return "\n".join([_title(architecture), "", "fields that matched", *_aligned(_fields(theirs, architecture))])


def to_architecture_text(architecture: Architecture, ours: Mapping[str, Any], rejected: Sequence[str]) -> str:
    """The table that a package matched, what its fields become, and why the ones that were tried before did not fit."""
    fields = [
        (f"{own} = {ours[own]!r}", "the same name" if own == name else f"is `{name}`")
        for own, name in architecture.fields.items()
    ]
    fields += [(f"{name} = {value!r}", "what the template stands for") for name, value in architecture.fixed.items()]
    parts = ", ".join(architecture.modules)
    lines = [_title(architecture), f"the package has its parts: {parts}"]
    lines += ["", "tables that were tried before", *rejected] if rejected else []
    return "\n".join([*lines, "", "fields that matched", *_aligned(fields)])


def _title(architecture: Architecture) -> str:
    place = f" in {architecture.file}" if architecture.file else ""
    return f"matched the table of `{architecture.model_type}`{place}"


def _fields(theirs: Mapping[str, Any], architecture: Architecture) -> Iterator[tuple[str, str]]:
    for own, name in architecture.fields.items():
        rule = architecture.derived.get(own)
        if theirs.get(name) is None and rule is not None:
            yield f"{name} = None", f"follows: {rule['factor']} * `{rule['of']}`"
        elif theirs.get(name) is None and own in architecture.computed:
            yield f"{name} = None", "follows from other fields of the template"
        else:
            yield f"{name} = {theirs.get(name)!r}", "the same name" if own == name else f"is `{own}`"
    for part in architecture.parts:
        value = value_at(theirs, part.field)
        if value is not None:
            template = part.templates.get(value)
            what = "keeps the usual" if template is None else "chooses"
            yield f"{part.field} = {value!r}", f"{what} [{part.block}]{f': {template}' if template else ''}"
    for name, switch in architecture.switches.items():
        said = f"{switch.argument}: true in" if switch.argument is not None else f"{switch.template} in"
        yield f"{name} = {theirs.get(name)!r}", f"{said} [{switch.block}]" if theirs.get(name) else "adds nothing"
    for name, value in architecture.fixed.items():
        yield f"{name} = {theirs.get(name, value)!r}", "what the template stands for"
    for name in architecture.dropped:
        yield f"{name} = {theirs.get(name)!r}", "belongs to what is left out"
    for name in architecture.ignored:
        if name in theirs:
            yield f"{name} = {theirs[name]!r}", "changes nothing that is computed"


def _aligned(pairs: Sequence[tuple[str, str]] | Iterator[tuple[str, str]]) -> list[str]:
    found = [(_short(left), right) for left, right in pairs]
    width = max((len(left) for left, _ in found), default=0)
    return [f"  {left:{width}}  {right}" for left, right in found]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
