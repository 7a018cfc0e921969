"""A model to the parameter groups that every torch optimizer accepts, and groups to others by parameter names.

A group has `params`, their `param_names`, and options of the optimizer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from fgc_runtime.patterns import compiled, listed, no_match

ParameterGroup = dict[str, Any]  # as torch types it
Groups = Sequence[ParameterGroup]


def weight_decay_groups(model: nn.Module) -> list[ParameterGroup]:
    """Split trainable parameters in two: matrices, then those that must not be pulled towards zero.

    Norms, biases and embeddings get `weight_decay` 0, matrices what the optimizer was given. A matrix tied to an
    embedding counts as an embedding. Empty groups are left out.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    trainable = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    decayed, undecayed = divide(
        [_group(trainable, {})], lambda name, parameter: parameter.ndim >= 2 and id(parameter) not in embeddings
    )
    return [*decayed, *({**group, "weight_decay": 0.0} for group in undecayed)]


def grouped(
    params: Groups,
    *,
    optimizer: Callable[[list[ParameterGroup]], Optimizer],
    groups: Mapping[str, Mapping[str, Any]],
    others: Mapping[str, Any] | None = None,
) -> Optimizer:
    """`optimizer`, with options of their own for parameters whose names match a pattern.

    `groups` maps regular expressions, searched for in names, to options such as `lr` or `weight_decay`; the first that
    matches wins. `others` are the options of all that match none; without it, these are an error. Options that a rule
    does not name stay as they come: norms, biases and embeddings keep their `weight_decay` of 0.
    Raises ValueError, naming the pattern or the parameters, for a pattern that matches nothing or is no expression.
    """
    divide(params, lambda name, parameter: True)  # refuses groups without names
    patterns = {pattern: compiled("groups", pattern) for pattern in groups}
    matched: set[str] = set()
    homeless: list[str] = []

    def rule_of(name: str) -> str | None:
        matching = [pattern for pattern, expression in patterns.items() if expression.search(name)]
        matched.update(matching)
        if not matching and others is None:
            homeless.append(name)
        return matching[0] if matching else None

    made = [
        {**own, **(groups[rule] if rule is not None else others or {})}
        for group in params
        for rule, own in _by(group, rule_of)
    ]
    names = [name for group in params for name in group["param_names"]]
    for pattern in groups:
        if pattern not in matched:
            raise no_match("groups", pattern, names)
    if homeless:
        raise ValueError(
            f"groups: no pattern matches {listed(homeless)}; add one, or `others: {{}}` to leave these as they are"
        )
    return optimizer(made)


def divide(
    groups: Groups, is_first: Callable[[str, Tensor], bool]
) -> tuple[list[ParameterGroup], list[ParameterGroup]]:
    """Each group in two by a question about its parameters; options stay, empty groups are left out."""
    parts: tuple[list[ParameterGroup], list[ParameterGroup]] = ([], [])
    for group in groups:
        if "param_names" not in group:
            raise ValueError("params must be groups with param_names, as weight_decay_groups(model) makes them")
        options = {key: value for key, value in group.items() if key not in ("params", "param_names")}
        pairs = list(zip(group["param_names"], group["params"], strict=True))
        for part, wanted in zip(parts, (True, False), strict=True):
            own = [(name, parameter) for name, parameter in pairs if is_first(name, parameter) == wanted]
            part += [_group(own, options)] if own else []
    return parts


def _by(group: ParameterGroup, rule_of: Callable[[str], str | None]) -> list[tuple[str | None, ParameterGroup]]:
    """A group in parts of one rule each, in the order in which the rules come up."""
    rules = {name: rule_of(name) for name in group["param_names"]}
    return [
        (rule, divide([group], lambda name, _, rule=rule: rules[name] == rule)[0][0])  # type: ignore[misc]
        for rule in dict.fromkeys(rules.values())
    ]


def _group(pairs: Iterable[tuple[str, Tensor]], options: ParameterGroup) -> ParameterGroup:
    named = list(pairs)
    return {"params": [item for _, item in named], "param_names": [name for name, _ in named], **options}
