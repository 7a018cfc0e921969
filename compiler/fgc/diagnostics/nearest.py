"""Finds the name that a misspelt one probably means."""

from collections.abc import Iterable

from fgc.diagnostics.slips import is_slip, words_of
from fgc.text import TEMPLATE_SUFFIXES

_MANY = 500  # candidates: a comparison takes 10 microseconds
_LONGEST = 80  # letters: nobody types longer names
_TRIED = 5  # of the most similar candidates
_SHORT = 4  # letters: short names resemble each other by accident
_ENDINGS = (*TEMPLATE_SUFFIXES, ".py")  # of files: all names have them, so they are ignored


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Returns the candidate most similar to `name`, or None if none is close. For files, the stems are compared."""
    from difflib import get_close_matches  # 7 ms; only wanted when something is wrong

    stem = _stem(name)
    stems = {_stem(other): other for other in reversed(_plausible(name, candidates))}
    cutoff = 0.6 if len(stem) > _SHORT else 0.7
    for match in get_close_matches(stem, sorted(stems), n=_TRIED, cutoff=cutoff):
        if _has_its_words(stem, match):
            return stems[match]
    swapped = next((other for other in stems if sorted(other) == sorted(stem)), None)  # `oen` for `one`
    if swapped is not None:
        return stems[swapped]
    folded = {candidate.casefold(): other for candidate, other in stems.items()}
    return folded.get(stem.casefold())


def _has_its_words(name: str, other: str) -> bool:
    """Returns True if each longer word of the name with fewer words resembles a word of the other name.

    `trainer_args` and `trainer_header` share a word, but neither is a misspelling of the other.
    """
    from difflib import get_close_matches

    fewer, more = sorted((words_of(name), words_of(other)), key=len)
    if len(fewer) == len(more) == 1:
        return True
    return all(len(word) < _SHORT or get_close_matches(word, more, n=1) for word in fewer)


def _stem(name: str) -> str:
    ending = next((ending for ending in _ENDINGS if name.endswith(ending)), "")
    return name.removesuffix(ending)


def misspelt(name: str, candidates: Iterable[str]) -> str | None:
    """Returns the candidate that `name` misspells; stricter than `nearest`, for names that may be correct.

    A slip changes letters of a word: `max_setps` for `max_steps`, `warm_up` for `warmup`. Names that differ by a word,
    by their digits, or by a letter that makes another word (`bos_token` and `eos_token`, `httpx` and `http`) are two
    names.
    """
    return next((other for other in _plausible(name, candidates) if is_slip(name, other)), None)


def _plausible(name: str, candidates: Iterable[str]) -> list[str]:
    """Returns the candidates in order; if there are very many, only those of a similar length."""
    ordered = sorted(set(candidates))
    if len(ordered) > _MANY:
        ordered = [other for other in ordered if abs(len(other) - len(name)) <= 2][:_MANY]
    return ordered if len(name) <= _LONGEST else []


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """Returns a help line with the nearest candidate, or None."""
    match = nearest(name, candidates)
    return None if match is None else f"did you mean `{match}`?"
