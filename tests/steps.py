"""Counts the steps that a backtracking matcher takes, as Python's `re` does: growth without a clock."""

import re
from collections.abc import Iterator
from re import _constants as sre
from typing import Any

_CATEGORIES = {
    sre.CATEGORY_DIGIT: str.isdecimal,
    sre.CATEGORY_NOT_DIGIT: lambda c: not c.isdecimal(),
    sre.CATEGORY_SPACE: str.isspace,
    sre.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    sre.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
    sre.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
}


class TooManySteps(Exception):
    """A match takes more steps than any linear one."""


class Matcher:
    """Matches a parsed pattern; `steps` counts the attempts to match a part of it."""

    def __init__(self, text: str, flags: int, most: int = 20_000) -> None:
        self._text = text
        self._flags = flags
        self._most = most
        self._groups: dict[int, str] = {}
        self.steps = 0

    def ends(self, parts: Any, at: int) -> Iterator[int]:
        """Yields where the parts may end, in the order in which they are tried."""
        if not parts:
            yield at
            return
        for middle in self._one(parts[0], at):
            yield from self.ends(parts[1:], middle)

    def _one(self, part: Any, at: int) -> Iterator[int]:
        self.steps += 1
        if self.steps > self._most:
            raise TooManySteps
        kind, argument = part
        if kind in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN, sre.CATEGORY):
            if at < len(self._text) and self._takes(kind, argument, self._text[at]):
                yield at + 1
        elif kind is sre.BRANCH:
            for branch in argument[1]:
                yield from self.ends(list(branch), at)
        elif kind is sre.SUBPATTERN:
            for end in self.ends(list(argument[3]), at):
                self._groups[argument[0]] = self._text[at:end]
                yield end
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            yield from self._repeated(argument, at, 0, is_greedy=kind is sre.MAX_REPEAT)
        elif kind is sre.POSSESSIVE_REPEAT:
            low, high, inner = argument
            count = 0
            while count < high and (end := next(self.ends(list(inner), at), at)) > at:
                at, count = end, count + 1
            if count >= low:
                yield at
        elif kind is sre.ATOMIC_GROUP:
            yield from [*self._first(list(argument), at)]
        elif kind in (sre.ASSERT, sre.ASSERT_NOT):
            direction, inner = argument
            start = at if direction > 0 else at - inner.getwidth()[0]
            is_there = start >= 0 and bool([*self._first(list(inner), start)])
            if is_there is (kind is sre.ASSERT):
                yield at
        elif kind is sre.GROUPREF:
            if self._text.startswith(self._groups.get(argument, "\0"), at):
                yield at + len(self._groups[argument])
        elif kind is sre.AT:
            if self._is_at(argument, at):
                yield at
        else:
            raise NotImplementedError(kind)

    def _first(self, parts: Any, at: int) -> Iterator[int]:
        for end in self.ends(parts, at):
            yield end
            return

    def _repeated(self, argument: Any, at: int, count: int, *, is_greedy: bool) -> Iterator[int]:
        low, high, inner = argument
        if not is_greedy and count >= low:
            yield at
        if count < high:
            for end in self.ends(list(inner), at):
                if end > at:
                    yield from self._repeated(argument, end, count + 1, is_greedy=is_greedy)
        if is_greedy and count >= low:
            yield at

    def _takes(self, kind: Any, argument: Any, character: str) -> bool:
        if kind is sre.LITERAL:
            return ord(character) == argument
        if kind is sre.NOT_LITERAL:
            return ord(character) != argument
        if kind is sre.ANY:
            return character != "\n" or bool(self._flags & re.DOTALL)
        if kind is sre.CATEGORY:
            return _CATEGORIES[argument](character)
        is_negated = argument[0][0] is sre.NEGATE
        found = any(
            argument[0] <= ord(character) <= argument[1]
            if kind is sre.RANGE
            else self._takes(kind, argument, character)
            for kind, argument in argument[is_negated:]
        )
        return found is not is_negated

    def _is_at(self, place: Any, at: int) -> bool:
        text = self._text
        if place in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            in_lines = place is sre.AT_BEGINNING and self._flags & re.MULTILINE
            return at == 0 or (bool(in_lines) and text[at - 1] == "\n")
        if place in (sre.AT_END, sre.AT_END_STRING):
            in_lines = place is sre.AT_END and self._flags & re.MULTILINE
            return at == len(text) or (bool(in_lines) and text[at] == "\n")
        words = [
            _CATEGORIES[sre.CATEGORY_WORD](c) if c else False
            for c in (text[at - 1 : at] if at else "", text[at : at + 1])
        ]
        return (words[0] != words[1]) is (place is sre.AT_BOUNDARY)


def steps_of(pattern: re.Pattern[str], parts: Any, text: str, *, scans: bool, is_full: bool) -> int:
    """The steps until a pattern, or a tail of its parts, has gone through a text."""
    matcher = Matcher(text, pattern.flags)
    at = 0
    while at <= len(text):
        ends = (end for end in matcher.ends(parts, at) if not is_full or end == len(text))
        end = next(ends, None)
        if not scans:
            break
        at = at + 1 if end is None or end == at else end
    return matcher.steps


def tails(parts: list[Any]) -> Iterator[list[Any]]:
    """The pattern, and its tails and those of its groups: what is tried where its beginning has matched."""
    for number, (kind, argument) in enumerate(parts):
        yield parts[number:]
        groups = list(argument[1]) if kind is sre.BRANCH else [argument[3]] if kind is sre.SUBPATTERN else []
        for group in groups:
            yield from ([*tail, *parts[number + 1 :]] for tail in tails(list(group)))


def letters(parts: Any) -> set[str]:
    """Characters that the parts of a pattern ask for, one of each class."""
    found: set[str] = set()
    for kind, argument in parts:
        match kind:
            case sre.LITERAL | sre.NOT_LITERAL:
                found.add(chr(argument))
            case sre.RANGE:
                found.add(chr(argument[0]))
            case sre.CATEGORY:
                found |= {c for c in "a1 " if _CATEGORIES[argument](c)}
            case sre.IN | sre.ATOMIC_GROUP:
                found |= letters(argument)
            case sre.BRANCH:
                found |= {c for branch in argument[1] for c in letters(branch)}
            case sre.SUBPATTERN:
                found |= letters(argument[3])
            case sre.MAX_REPEAT | sre.MIN_REPEAT | sre.POSSESSIVE_REPEAT:
                found |= letters(argument[2])
            case sre.ASSERT | sre.ASSERT_NOT:
                found |= letters(argument[1])
            case _:
                pass
    return found
