"""Encodes rendered chat templates so that only the template's own special tokens become special tokens.

Text of a message that spells a special token gets a mark before the template is rendered: a character that no text may
contain. The rendered text is split at the remaining special tokens, those of the template, and then the marks are
removed. A text without such spellings is encoded as usual.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

_MARK = "\ufdd0"  # a noncharacter, which Unicode reserves for use inside programs


class Tokens(NamedTuple):
    """The ids of a rendered text, and the range of each token in it, in characters."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class ControlTokens:
    """The special tokens of a tokenizer, which are hidden in messages and read in templates."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        backend: Tokenizer = tokenizer.backend_tokenizer
        special = [token for token in tokenizer.added_tokens_decoder.values() if token.special]
        special.sort(key=lambda token: -len(token.content))  # longest match first
        self._ids = {token.content: int(backend.token_to_id(token.content) or 0) for token in special}
        self._spelt = re.compile("|".join(re.escape(token.content) for token in special) or r"(?!)")
        self._written = re.compile("|".join(_with_spaces(token) for token in special) or r"(?!)")
        self._all = _copy(backend, reads_letters=False)
        self._first = _copy(backend, reads_letters=True)
        self._later = _without_prefix(_copy(backend, reads_letters=True))

    def hidden(self, message: Any) -> Any:
        """Returns the message with a mark after the first character of each spelled special token."""
        if isinstance(message, str):
            return self._spelt.sub(lambda found: found[0][0] + _MARK + found[0][1:], plain(message))
        if isinstance(message, Mapping):
            return {self.hidden(name): self.hidden(value) for name, value in message.items()}
        return [self.hidden(value) for value in message] if isinstance(message, list | tuple) else message

    def encode(self, rendered: str) -> Tokens:
        """Returns the ids of a template rendered with hidden messages, without added bos or eos."""
        if _MARK not in rendered:
            encoding = self._all.encode(rendered, add_special_tokens=False)
            return Tokens(list(encoding.ids), list(encoding.offsets))
        tokens = Tokens([], [])
        begin = 0
        for found in self._written.finditer(rendered):
            self._add(tokens, rendered, begin, found.start())
            tokens.ids.append(self._ids[self._spelt.findall(found[0])[0]])
            tokens.offsets.append(found.span())
            begin = found.end()
        self._add(tokens, rendered, begin, len(rendered))
        return tokens

    def _add(self, tokens: Tokens, rendered: str, begin: int, end: int) -> None:
        """Adds the text between two special tokens, without marks; ranges still count the marks."""
        if begin == end:
            return
        places = [place for place in range(begin, end) if rendered[place] != _MARK]
        text = "".join(rendered[place] for place in places)
        encoding = (self._later if begin else self._first).encode(text, add_special_tokens=False)
        tokens.ids.extend(encoding.ids)
        for first, last in encoding.offsets:
            here = places[first:last]
            tokens.offsets.append((here[0], here[-1] + 1) if here else (begin, begin))


def plain(rendered: str) -> str:
    """Returns a rendered text without marks."""
    return rendered.replace(_MARK, "")


def _with_spaces(token: Any) -> str:
    before, after = (r"\s*" if strips else "" for strips in (token.lstrip, token.rstrip))
    return f"{before}{re.escape(token.content)}{after}"


def _copy(backend: Tokenizer, *, reads_letters: bool) -> Tokenizer:
    """Returns a copy without truncation and padding, which with `reads_letters` ignores special tokens in text."""
    copy = Tokenizer.from_str(backend.to_str())
    copy.encode_special_tokens = reads_letters
    copy.no_truncation()
    copy.no_padding()
    return copy


def _without_prefix(backend: Tokenizer) -> Tokenizer:
    """Returns a copy without the space that some tokenizers put before a text, but not after a special token."""
    if getattr(backend.pre_tokenizer, "prepend_scheme", None) == "first":
        backend.pre_tokenizer.prepend_scheme = "never"
    return backend
