"""Calls that could not be compared with a signature, to the words of `fgc check`."""

from collections import Counter

from fgc.pipeline.coverage import Coverage, Unchecked

_MAX_NAMES = 3  # names in the summary; `--report-unchecked` lists them all


def coverage_words(coverage: Coverage) -> str:
    """`; 41 of 44 calls checked; not: lightning:Trainer (its signature is created at run time)`; empty if all were."""
    if not coverage.unchecked:
        return ""
    groups = _groups(coverage)
    shown = ", ".join(_shown(*group) for group in groups[:_MAX_NAMES])
    more = f" and {len(groups) - _MAX_NAMES} more (--report-unchecked lists them)" if len(groups) > _MAX_NAMES else ""
    return f"; {coverage.num_checked} of {coverage.num_calls} calls checked; not: {shown}{more}"


def _shown(name: str, reason: str, count: int) -> str:
    return f"{name} ({reason})" if count == 1 else f"{name} ({reason}; {count} calls)"


def unchecked_lines(coverage: Coverage) -> str:
    """A line for each call that was not checked, at its place, once."""
    lines = dict.fromkeys(f"{item.span}: {item.name} is not checked: {_why(item)}\n" for item in coverage.unchecked)
    return "".join(lines)


def _why(item: Unchecked) -> str:
    return f"the package `{item.package}` is not installed" if item.package else item.reason


def coverage_data(coverage: Coverage) -> dict[str, object]:
    """The same for `--format json`."""
    items = [{"name": name, "reason": reason, "calls": count} for name, reason, count in _groups(coverage)]
    return {"total": coverage.num_calls, "checked": coverage.num_checked, "unchecked": items}


def _groups(coverage: Coverage) -> list[tuple[str, str, int]]:
    """Names with their reasons and how often they are called; a package that is missing counts once."""
    counts = Counter((_name(item), item.reason) for item in coverage.unchecked)
    return [(name, reason, count) for (name, reason), count in counts.items()]


def _name(item: Unchecked) -> str:
    return item.package or item.name
