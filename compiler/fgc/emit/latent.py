"""Keywords that are merged when a call happens: written ones, then latent ones, then those of the call."""

import ast

from fgc.emit.expression import Argument, Constant, DictDisplay, Expression, Name
from fgc.emit.literal import string
from fgc.emit.measure import has_effect
from fgc.emit.operators import EvaluatedArguments

Pair = tuple[str | None, Expression]  # a mapping that is spread has no name


def merged(given: EvaluatedArguments, late: Expression) -> tuple[Argument, ...]:
    """The arguments of a call that happens now, with a latent mapping."""
    pairs = keyword_pairs(given, late)
    named = tuple((name, value) for name, value in pairs if name is not None)
    if len(named) == len(pairs):
        return EvaluatedArguments(given.positional, named).written()
    spread = late if not given.keywords else display(pairs)
    return (*EvaluatedArguments(given.positional, ()).written(), Argument(spread, star="**"))


def display(pairs: list[Pair]) -> DictDisplay:
    """Keywords as the mapping that they are."""
    return DictDisplay(tuple((None if name is None else string(name), value) for name, value in pairs))


def keyword_pairs(given: EvaluatedArguments, late: Expression | None) -> list[Pair]:
    """Written keywords with the latent mapping over them."""
    pairs: list[Pair] = list(given.keywords)
    if late is None:
        return pairs
    overridden = _overridden(given, late) if isinstance(late, DictDisplay) else None
    return [*pairs, (None, late)] if overridden is None else list(overridden.items())


def _overridden(given: EvaluatedArguments, late: DictDisplay) -> dict[str, Expression] | None:
    """One mapping of both, if it is the same to evaluate it."""
    result = dict(given.keywords)
    for key, value in late.pairs:
        if not isinstance(key, Constant) or key.text[0] not in "\"'":
            return None
        name = ast.literal_eval(key.text)
        old = result.get(name)
        if old is not None and (has_effect(old) or isinstance(old, Name) or has_effect(value)):
            return None
        result[name] = value
    return result
