"""A conversion's plan and its result as text for a person; layers that move alike stand in one line."""

import re
from collections.abc import Iterable, Iterator, Sequence

import torch

from fgc_runtime.convert.moves import Move, Plan, wanted_of
from fgc_runtime.convert.tables import Architecture
from fgc_runtime.convert.verify import Comparison

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


def plan_text(plan: Plan, architecture: Architecture, notes: Sequence[str]) -> str:
    """Every field and tensor, where it goes, and what is wrong."""
    return "\n".join(
        [
            f"{architecture.name} <-> {architecture.template}",
            "",
            "configuration fields (package: architecture)",
            *(f"  {ours}" if ours == theirs else f"  {ours}: {theirs}" for ours, theirs in architecture.fields.items()),
            "",
            "tensors (written <- read)",
            *(f"  {line}" for line in _moves(plan.moves)),
            *(f"  {name} must equal {kept}, which it is tied to" for name, kept in plan.copies.items()),
            *(f"  {name} is left out" for name in plan.skipped),
            "",
            *(f"note: {note}" for note in notes),
            *(f"error: {problem}" for problem in plan.problems),
            _size(plan),
        ]
    )


def finished_text(plan: Plan, architecture: Architecture, notes: Sequence[str], comparison: Comparison | None) -> str:
    """Returns what was written, and how it compares."""
    lines = [f"{architecture.name} {'->' if plan.is_to_package else '<-'} package of {architecture.template}"]
    lines += [f"note: {note}" for note in notes]
    if plan.skipped:
        lines.append(f"left out: {', '.join(plan.skipped)}")
    lines.append(_size(plan))
    if comparison is None:
        lines.append("logits were not compared")
    else:
        batch, length = comparison.tokens
        lines.append(
            f"logits of {batch} x {length} random tokens differ by at most {comparison.difference:.2g} "
            f"(allowed: {comparison.tolerance:.2g}, logits up to {comparison.magnitude:.3g})"
        )
    return "\n".join(lines)


def _moves(moves: Sequence[Move]) -> Iterator[str]:
    counts: dict[str, int] = {}
    for move in moves:
        written = _experts(wanted.name for wanted in move.written)
        read = "same" if move.group.is_same else _experts(move.sources)
        line = f"{written} <- {read}{' (transposed)' if move.group.transposed else ''}"
        pattern = _NUMBER.sub("*", line)
        counts[pattern] = counts.get(pattern, 0) + 1
    for pattern, count in counts.items():
        yield f"{pattern}{f'  ({count} times)' if count > 1 else ''}"


def _experts(names: Iterable[str]) -> str:
    """Names; those that differ by their numbers alone once, as a pattern."""
    listed = list(names)
    patterns = dict.fromkeys(_NUMBER.sub("*", name) for name in listed)
    return ", ".join(listed if len(patterns) == len(listed) else patterns)


def _size(plan: Plan) -> str:
    wanted = wanted_of(plan)
    parameters = sum(torch.Size(item.shape).numel() for item in wanted)
    size = sum(item.num_bytes for item in wanted)
    dtypes = ", ".join(sorted({str(item.dtype).removeprefix("torch.") for item in wanted}))
    return f"{len(wanted)} tensors, {parameters:,} parameters, {size / 2**20:,.1f} MiB in {dtypes}"
