"""A grammar in, what the next token of a text may be out; the work is llguidance's.

A grammar is compiled once for a request; each of its choices is led by a guide of its own.
"""

from collections.abc import Sequence

import torch
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from fgc_runtime.generate.vocabulary import special_tokens, token_bytes


class GrammarError(Exception):
    """A grammar that cannot be followed; the message is llguidance's reason."""


class MatcherGuide:
    """Leads one text: says which tokens may come, and hears which one came."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    @property
    def error(self) -> str | None:
        """Returns why the guide cannot go on, such as a grammar that grew beyond the limits."""
        return self._matcher.get_error().partition("\n")[0] if self._matcher.is_error() else None

    @property
    def is_whole(self) -> bool:
        """Returns True if the text may end here."""
        return self._matcher.is_accepting()

    @property
    def is_over(self) -> bool:
        """Returns True if nothing may follow."""
        return self._matcher.is_stopped()

    def restrict(self, logits_V: Tensor) -> None:
        """Rules out, in place, each token that may not come; leaves the logits alone after an error."""
        if self._matcher.is_error():
            return
        marks = bytearray(self._matcher.compute_logit_bias())
        if not self._matcher.is_error():
            is_ruled_out_V = torch.frombuffer(marks, dtype=torch.uint8) == 0
            logits_V.masked_fill_(is_ruled_out_V.to(logits_V.device), -torch.inf)

    def take(self, token: int) -> None:
        self._matcher.consume_token(token)


class CompiledGrammar:
    """A compiled grammar."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    def guide(self) -> MatcherGuide:
        return MatcherGuide(self._matcher.deep_copy())


class Grammars:
    """Compiles grammars for one tokenizer. Used from one thread at a time."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int, end_ids: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._end_ids = sorted(token for token in end_ids if token < vocab_size)
        self._known: LLTokenizer | None = None  # large vocabularies take a second: made for the first grammar

    def compile(self, lark: str) -> CompiledGrammar:
        """Returns the grammar of a text in llguidance's dialect of Lark. Raises GrammarError."""
        if not self._end_ids:
            raise GrammarError("the model has no token that ends a text")
        if self._known is None:
            self._known = _tokens_of(self._tokenizer, self._vocab_size, self._end_ids)
        grammar = LLMatcher.grammar_from_lark(lark)
        is_wrong, reasons = LLMatcher.validate_grammar_with_warnings(grammar, self._known)
        if is_wrong:
            raise GrammarError(_plain(reasons[0]))
        matcher = LLMatcher(self._known, grammar, log_level=0)
        if matcher.is_error():
            raise GrammarError(_plain(matcher.get_error()))
        for _ in range(2):  # copies share a lexer with a limit, which a first one can use up
            if not self._begins(matcher.deep_copy()):
                raise GrammarError("it admits no text at all")
        return CompiledGrammar(matcher)

    def _begins(self, matcher: LLMatcher) -> bool:
        """Returns True if a text can begin, or be empty. Raises GrammarError for one that is too large to follow."""
        marks = matcher.compute_logit_bias()
        if matcher.is_error():
            raise GrammarError(_plain(matcher.get_error()))
        return matcher.is_accepting() or any(marks[token] for token in range(len(marks)) if token not in self._end_ids)


def _tokens_of(tokenizer: PreTrainedTokenizerBase, vocab_size: int, end_ids: list[int]) -> LLTokenizer:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        try:
            return LLTokenizer(backend.to_str(), n_vocab=vocab_size, eos_token=end_ids)
        except ValueError:  # a decoder that llguidance does not read: the bytes of each token say as much
            pass
    return LLTokenizer(TokenizerWrapper(_Vocabulary(tokenizer, vocab_size, end_ids)), vocab_size, end_ids)


class _Vocabulary:
    """Answers what llguidance asks of a tokenizer that it cannot read itself."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocab_size: int, end_ids: Sequence[int]) -> None:
        self.eos_token_id = end_ids[0]
        self.bos_token_id = None
        special = special_tokens(tokenizer)
        self.special_token_ids = list(special)
        self.tokens = [token_bytes(tokenizer, token, special) for token in range(vocab_size)]
        self._tokenizer = tokenizer

    def __call__(self, text: str) -> list[int]:
        return [int(token) for token in self._tokenizer.encode(text, add_special_tokens=False)]


def _plain(reason: str) -> str:
    """Returns the first line that says what is wrong."""
    if reason.startswith("NoExtension"):
        return "it admits no text at all"
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[0] if errors else lines[0] if lines else "no reason given"
