"""Misspelt names to the names that were probably meant."""

from collections.abc import Iterable


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that looks most like `name`, or None if none comes close."""
    from difflib import get_close_matches  # 7 ms; only wanted when something is wrong

    ordered = sorted(set(candidates))
    matches = get_close_matches(name, ordered, n=1, cutoff=0.6)
    if matches:
        return matches[0]
    folded = {candidate.casefold(): candidate for candidate in ordered}
    return folded.get(name.casefold())


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """A help line with the nearest candidate, or None."""
    match = nearest(name, candidates)
    return None if match is None else f"did you mean `{match}`?"
