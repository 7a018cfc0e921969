"""Keywords that are merged when a call happens: written ones, then latent ones, then those of the call."""

from fgc.emit.expression import Argument, Constant, DictDisplay, Expression, Name
from fgc.emit.literal import string
from fgc.emit.measure import has_effect
from fgc.emit.names import is_identifier
from fgc.emit.operators import Arguments

Pair = tuple[Expression | None, Expression]


def merged(given: Arguments, late: Expression) -> tuple[Argument, ...]:
    """The arguments of a call that happens now, with a latent mapping."""
    positional = [Argument(value) for value in given.positional]
    pairs = keyword_pairs(given, late)
    plain = [(_identifier(key), value) for key, value in pairs]
    if all(name is not None for name, _ in plain):
        return (*positional, *(Argument(value, keyword=name) for name, value in plain))
    if not given.keywords:
        return (*positional, Argument(late, star="**"))
    return (*positional, Argument(DictDisplay(tuple(pairs)), star="**"))


def keyword_pairs(given: Arguments, late: Expression | None) -> list[Pair]:
    """Written keywords with the latent mapping over them, as the pairs of a mapping."""
    pairs: list[Pair] = [(string(name), value) for name, value in given.keywords]
    if late is None:
        return pairs
    overridden = _overridden(pairs, late) if isinstance(late, DictDisplay) else None
    return [*pairs, (None, late)] if overridden is None else overridden


def _overridden(pairs: list[Pair], late: DictDisplay) -> list[Pair] | None:
    """One mapping of both, if it is the same to evaluate it."""
    result = dict(pairs)
    for key, value in late.pairs:
        if not isinstance(key, Constant) or key.text[0] not in "\"'":
            return None
        if key in result and (has_effect(result[key]) or isinstance(result[key], Name) or has_effect(value)):
            return None
        result[key] = value
    return list(result.items())


def _identifier(key: Expression | None) -> str | None:
    if not isinstance(key, Constant):
        return None
    name = key.text[1:-1]
    return name if key.text[0] in "\"'" and is_identifier(name) else None
