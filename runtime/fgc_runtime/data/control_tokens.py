"""Texts of people beside those of a template: only the template's special tokens are read as such.

Letters of a message that spell a special token are marked before the template sees them, with a character that no text
has; the marks go when the text has been cut at the special tokens that are left, those of the template. A text without
such letters is encoded as ever.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

_MARK = "\ufdd0"  # a noncharacter: Unicode keeps it for uses inside a program, no text may have it


class Tokens(NamedTuple):
    """Ids of a rendered text, and where in it each token begins and ends, in characters."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class ControlTokens:
    """The special tokens of a tokenizer, hidden in messages and read in what a template makes of them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        backend: Tokenizer = tokenizer.backend_tokenizer
        special = [token for token in tokenizer.added_tokens_decoder.values() if token.special]
        special.sort(key=lambda token: -len(token.content))  # the longest that fits
        self._ids = {token.content: int(backend.token_to_id(token.content) or 0) for token in special}
        self._spelt = re.compile("|".join(re.escape(token.content) for token in special) or r"(?!)")
        self._written = re.compile("|".join(_with_spaces(token) for token in special) or r"(?!)")
        self._all = _copy(backend, reads_letters=False)
        self._first = _copy(backend, reads_letters=True)
        self._later = _without_prefix(_copy(backend, reads_letters=True))

    def hidden(self, message: Any) -> Any:
        """The same message; where it spells a special token, the mark stands behind the token's first character."""
        if isinstance(message, str):
            return self._spelt.sub(lambda found: found[0][0] + _MARK + found[0][1:], plain(message))
        if isinstance(message, Mapping):
            return {self.hidden(name): self.hidden(value) for name, value in message.items()}
        return [self.hidden(value) for value in message] if isinstance(message, list | tuple) else message

    def encode(self, rendered: str) -> Tokens:
        """Ids of what a template has made of hidden messages; nothing is put around it."""
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
        """Returns what stands between two special tokens, without the marks; places count them."""
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
    """A rendered text as its reader sees it."""
    return rendered.replace(_MARK, "")


def _with_spaces(token: Any) -> str:
    before, after = (r"\s*" if strips else "" for strips in (token.lstrip, token.rstrip))
    return f"{before}{re.escape(token.content)}{after}"


def _copy(backend: Tokenizer, *, reads_letters: bool) -> Tokenizer:
    """Reads a text whole, whatever length its file asks for; letters where it spells a special token, if so wanted."""
    copy = Tokenizer.from_str(backend.to_str())
    copy.encode_special_tokens = reads_letters
    copy.no_truncation()
    copy.no_padding()
    return copy


def _without_prefix(backend: Tokenizer) -> Tokenizer:
    """Some tokenizers begin a text, but not what follows a special token, with a space."""
    if getattr(backend.pre_tokenizer, "prepend_scheme", None) == "first":
        backend.pre_tokenizer.prepend_scheme = "never"
    return backend
