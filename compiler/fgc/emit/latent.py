"""Merges the keywords of a call: written ones, overridden by latent ones, overridden by those of the caller."""

import ast

from fgc.emit.expression import Argument, Constant, DictDisplay, Expression, Name
from fgc.emit.literal import string
from fgc.emit.measure import has_effect
from fgc.emit.operators import EvaluatedArguments

Pair = tuple[str | None, Expression]  # no name: a mapping that is spread


def merged(given: EvaluatedArguments, late: Expression) -> tuple[Argument, ...]:
    """Returns the arguments of a call that is evaluated now, with a latent mapping."""
    pairs = keyword_pairs(given, late)
    named = tuple((name, value) for name, value in pairs if name is not None)
    if len(named) == len(pairs):
        return EvaluatedArguments(given.positional, named).written()
    spread = late if not given.keywords else display(pairs)
    return (*EvaluatedArguments(given.positional, ()).written(), Argument(spread, star="**"))


def display(pairs: list[Pair]) -> DictDisplay:
    """Returns keywords as a mapping."""
    return DictDisplay(tuple((None if name is None else string(name), value) for name, value in pairs))


def keyword_pairs(given: EvaluatedArguments, late: Expression | None) -> list[Pair]:
    """Returns the written keywords overridden by the latent mapping."""
    pairs: list[Pair] = list(given.keywords)
    if late is None:
        return pairs
    overridden = _overridden(given, late) if isinstance(late, DictDisplay) else None
    return [*pairs, (None, late)] if overridden is None else list(overridden.items())


def _overridden(given: EvaluatedArguments, late: DictDisplay) -> dict[str, Expression] | None:
    """Returns one mapping of both, if evaluating it has the same effects."""
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
