"""Patterns of parameter names to what is trained and what stays."""

from collections.abc import Sequence

from torch import nn

from fgc_runtime.patterns import compiled, listed, no_match


def freeze(model: nn.Module, *, trained: Sequence[str] | None = None, frozen: Sequence[str] = ()) -> None:
    """Lets only some parameters move: those that match one of `trained` (None: all) and none of `frozen`.

    Patterns are regular expressions, searched for in names, as in `fgc_runtime.optim:grouped`. A weight with two names,
    such as a tied head, is frozen if either name is. Raises ValueError for a pattern that matches nothing or is no
    expression, and if nothing is left to train.
    """
    named = list(model.named_parameters(remove_duplicate=False))
    names = [name for name, _ in named]
    chosen = set(names) if trained is None else _matching("trained", trained, names)
    kept = _matching("frozen", frozen, names)
    still = {id(parameter) for name, parameter in named if name in kept or name not in chosen}
    for _, parameter in named:
        parameter.requires_grad_(id(parameter) not in still)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"trained ({listed(trained or ['all'])}) without frozen ({listed(frozen)}) leaves no weight")


def _matching(argument: str, patterns: Sequence[str], names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        expression = compiled(argument, pattern)
        matching = {name for name in names if expression.search(name)}
        if not matching:
            raise no_match(argument, pattern, names)
        found |= matching
    return found
