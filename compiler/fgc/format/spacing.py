"""The tokens of a statement or print to its text, with one way to put spaces.

Works on tokens and not on the tree: parentheses, quotes and numbers stay as their author wrote them, and white space
between tokens means nothing, so that no result can mean anything else.
"""

from collections.abc import Sequence

from fgc.syntax.tokens import Token

_WORD_OPERATORS = frozenset(("and", "or", "not", "in", "is", "if", "else"))
_FUSING = frozenset(("**", "//", "==", "<=", ">=", "{%", "%}", "{{"))
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


def spaced(tokens: Sequence[Token], *, is_statement: bool) -> str:
    """The tokens as text; the colon that may end a statement is left out."""
    kept = list(tokens)
    if is_statement and len(kept) > 1 and kept[-1].text == ":":
        kept.pop()
    speller = _Speller([token.text for token in kept], is_statement)
    return "".join((" " if speller.has_space_before(index) else "") + token.text for index, token in enumerate(kept))


class _Speller:
    """Decides, from left to right, where a space stands. State: the brackets that are open."""

    def __init__(self, texts: list[str], is_statement: bool) -> None:
        self._texts = texts
        self._is_statement = is_statement
        self._brackets: list[str] = []
        self._is_prefix = False  # whether the token before is a sign or star that belongs to what follows

    def has_space_before(self, index: int) -> bool:
        """Asked once for every token, in order."""
        text = self._texts[index]
        has_space = index > 0 and (self._fuses(index) or (not self._is_prefix and self._parts(index)))
        if text in _CLOSING and self._brackets:
            self._brackets.pop()
        self._is_prefix = text in ("+", "-", "*", "**") and not self._ends_operand(index - 1)
        if text in _OPENING:
            self._brackets.append(text)
        return has_space

    def _parts(self, index: int) -> bool:
        before, text = self._texts[index - 1], self._texts[index]
        if before in _OPENING or text in _CLOSING or "." in (before, text) or text == ",":
            return False
        if ":" in (before, text):
            return before == ":" and self._bracket != "["
        if "=" in (before, text):
            return not self._brackets
        if text == "(":
            is_call_block = self._is_statement and index == 1 and before == "call"
            return not (is_call_block or self._ends_operand(index - 1))
        if text == "[":
            return self._is_test(index - 1) or not self._ends_operand(index - 1)
        return True

    def _fuses(self, index: int) -> bool:
        """Returns whether two tokens would be read as others without a space between them."""
        before, text = self._texts[index - 1], self._texts[index]
        if text == "." and before[0].isdigit():  # `x.0 .1`
            return self._texts[index + 1 : index + 2] != [] and self._texts[index + 1][0].isdigit()
        return before[-1] + text[0] in _FUSING

    @property
    def _bracket(self) -> str:
        return self._brackets[-1] if self._brackets else ""

    def _ends_operand(self, index: int) -> bool:
        """Returns whether a value may end with this token, so that a sign, bracket or star after it belongs to both."""
        if index < 0 or (index == 0 and self._is_statement):
            return False
        text = self._texts[index]
        if text in _WORD_OPERATORS:
            return index > 0 and self._texts[index - 1] in (".", "|")
        return text in _CLOSING or text[0].isalnum() or text[0] in "_\"'"

    def _is_test(self, index: int) -> bool:
        """Returns whether this is the name of a test, which takes an argument without parentheses."""
        before = self._texts[max(index - 2, 0) : index]
        return before[-1:] == ["is"] or before == ["is", "not"]
