"""Misspelt names to the names that were probably meant."""

from collections.abc import Iterable

_MANY = 500  # candidates: each costs a comparison of 10 microseconds
_LONGEST = 80  # letters: no person's name for something
_SHORT = 4  # letters: short names resemble each other by accident
_SLIP = 0.8  # `levle` for `level`, `warm_up` for `warmup`; not `train_steps` for `eval_steps`


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that looks most like `name`, or None if none comes close."""
    from difflib import get_close_matches  # 7 ms; only wanted when something is wrong

    ordered = _plausible(name, candidates)
    cutoff = 0.6 if len(name) > _SHORT else 0.7
    matches = get_close_matches(name, ordered, n=1, cutoff=cutoff)
    if matches:
        return matches[0]
    folded = {candidate.casefold(): candidate for candidate in ordered}
    return folded.get(name.casefold())


def misspelt(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` is a slip of; stricter than `nearest`, for names that may well be meant as they are.

    Names that differ in digits only are different names.
    """
    from difflib import get_close_matches

    letters = _without_digits(name)
    others = [other for other in _plausible(name, candidates) if _without_digits(other) != letters]
    matches = get_close_matches(name, others, n=1, cutoff=_SLIP)
    return matches[0] if matches else None


def _plausible(name: str, candidates: Iterable[str]) -> list[str]:
    """Candidates in order; of very many, those of about the same length."""
    ordered = sorted(set(candidates))
    if len(ordered) > _MANY:
        ordered = [other for other in ordered if abs(len(other) - len(name)) <= 2][:_MANY]
    return ordered if len(name) <= _LONGEST else []


def _without_digits(name: str) -> str:
    return "".join(character for character in name if not character.isdigit())


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """A help line with the nearest candidate, or None."""
    match = nearest(name, candidates)
    return None if match is None else f"did you mean `{match}`?"
