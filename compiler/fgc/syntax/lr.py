"""Runs LALR tables over tokens; builders turn reduced symbols into nodes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from fgc.syntax.tables import GrammarRule, Tables
from fgc.syntax.tokens import Token

Builder: TypeAlias = Callable[[int, int, list[Any]], Any]


class Unexpected(Exception):
    """The tokens do not fit the grammar: the token (None for the end), and the terminals that would have fitted."""

    def __init__(self, token: Token | None, expected: tuple[str, ...]) -> None:
        super().__init__(token, expected)
        self.token = token
        self.expected = expected


_END = ("$END",)


class _Symbol(Struct):
    value: Any
    start: int
    end: int


def run(tables: Tables, start: str, tokens: Sequence[Token], builders: dict[str, Builder], at: int) -> Any:
    """Parse tokens from the start symbol. `at`: the offset to blame for what is empty. Raises Unexpected."""
    states = [tables.starts[start]]
    symbols: list[_Symbol] = []
    index, count, table = 0, len(tokens), tables.states
    while True:
        actions = table[states[-1]]
        token = tokens[index] if index < count else None
        for terminal in _END if token is None else token.terminals:
            if terminal in actions:
                break
        else:
            raise Unexpected(token, _acceptable(tables, states))
        action = actions[terminal]
        if action < 0:
            rule = tables.rules[-1 - action]
            if rule.is_transparent and not isinstance(symbols[-1].value, list):
                states[-1] = table[states[-2]][rule.origin]  # most reductions: one level of precedence
            else:
                _reduce(tables, rule, states, symbols, builders, at)
            if token is None and states[-1] == tables.ends[start]:
                return symbols[-1].value
            continue
        assert token is not None, "the end of the tokens is never shifted"
        symbols.append(_Symbol(token, token.start, token.end))
        states.append(action)
        index += 1


def _acceptable(tables: Tables, states: list[int]) -> tuple[str, ...]:
    """The terminals that would fit: tables merge states, so each is tried until it is shifted."""
    actions = tables.states[states[-1]]
    candidates = [name for name in actions if name.isupper() or name.startswith("$")]
    return tuple(name for name in candidates if _is_shifted(tables, list(states), name))


def _is_shifted(tables: Tables, states: list[int], terminal: str) -> bool:
    while True:
        action = tables.states[states[-1]].get(terminal)
        if action is None:
            return states[-1] in tables.ends.values()
        if action >= 0:
            return True
        rule = tables.rules[-1 - action]
        if rule.keep:
            del states[-len(rule.keep) :]
        if rule.origin not in tables.states[states[-1]]:
            return True  # the start symbol: the whole is read
        states.append(tables.states[states[-1]][rule.origin])


def _reduce(
    tables: Tables, rule: GrammarRule, states: list[int], symbols: list[_Symbol], builders: dict[str, Builder], at: int
) -> None:
    size = len(rule.keep)
    taken = symbols[-size:] if size else []
    if size:
        del symbols[-size:]
        del states[-size:]
    is_longer_list = rule.is_inline and bool(taken) and isinstance(taken[0].value, list)
    children: list[Any] = taken[0].value if is_longer_list else []  # a copy at each item would take quadratic time
    for symbol, is_kept in zip(taken[is_longer_list:], rule.keep[is_longer_list:], strict=True):
        if isinstance(symbol.value, list):
            children += symbol.value
        elif is_kept:
            children.append(symbol.value)
    start, end = (taken[0].start, taken[-1].end) if taken else (at, at)
    if rule.is_inline:
        value: Any = children
    elif rule.passes_single and len(children) == 1:
        value = children[0]
    else:
        value = builders[rule.builder](start, end, children)
    symbols.append(_Symbol(value, start, end))
    states.append(tables.states[states[-1]][rule.origin])
