"""Pairs of answers, one preferred to the other, to examples and batches: what preference losses are trained on.

A pair is a list of two conversations. Only what differs is learnt: turns of the assistant that both begin with are
context.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from fgc_runtime.data.cache import content_key
from fgc_runtime.data.chat import ChatEncoder
from fgc_runtime.data.collator import IGNORED_LABEL, Batch, DataCollatorForCausalLM
from fgc_runtime.data.draws import draws_nothing
from fgc_runtime.data.encoding import Encoded
from fgc_runtime.data.packing import cached_tensors, canonical
from fgc_runtime.data.pieces import Example
from fgc_runtime.output import say

Messages = list[dict[str, Any]]
Pair = Sequence[Messages]


def as_preference(
    row: Any,
    *,
    prompt: str | None = "prompt",
    chosen: str = "chosen",
    rejected: str = "rejected",
    system: str | None = None,
) -> list[Messages]:
    """Makes a pair of a row's columns: a `document` of `table_files` and its kin.

    An answer is a text, or a list of messages; the prompt too. `prompt` None: both answers are whole conversations.
    Raises ValueError for a column that is not there, and for an answer that is neither.
    """
    for column in (prompt, chosen, rejected, system):
        if column is not None and column not in row:
            raise ValueError(f"column ({column!r}) must be one of: {', '.join(row)}")
    before = _messages(row[system], "system") if system is not None and row[system] else []
    before += _messages(row[prompt], "user") if prompt is not None else []
    return [[*before, *_messages(row[column], "assistant")] for column in (chosen, rejected)]


def _messages(value: Any, role: str) -> Messages:
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if isinstance(value, Sequence) and all(isinstance(message, Mapping) for message in value):
        return [dict(message) for message in value]
    raise ValueError(f"an answer or prompt must be a text or a list of messages, not {value!r:.60}")


@draws_nothing
class PreferenceDataset(Dataset[Example]):
    """One example per pair, each answer cut off after `max_length` tokens.

    Pairs whose answers are the same, and pairs of which an answer has no token left, teach nothing: they are left out,
    and how many is said. Of several processes one encodes, and the others read what it put into the cache. Raises
    ValueError, naming the document, for what is no pair, and if no pair is left.
    """

    def __init__(
        self,
        texts: Sequence[Pair],
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        *,
        encoder: ChatEncoder | None = None,
        cache_dir: str | Path | None = None,
    ) -> None:
        if max_length < 2:
            raise ValueError(f"max_length ({max_length}) must be at least 2: the first token predicts nothing")
        self.max_length = max_length
        chat_encoder = encoder or ChatEncoder(tokenizer)
        key = content_key(["pairs", chat_encoder.key, *map(canonical, texts)])
        stored = cached_tensors(key, cache_dir, lambda: _encoded_pairs(texts, chat_encoder))
        self._tokens, self._is_label = stored["tokens"], stored["is_label"]
        answers = list(pairwise([0, *stored["ends"].tolist()]))
        pairs = list(zip(answers[::2], answers[1::2], strict=True))
        self._pairs = [pair for pair in pairs if all(self._is_learnt(*answer) for answer in pair)]
        self._tell_of_others(len(texts) - len(pairs), len(pairs) - len(self._pairs), len(texts))

    def __len__(self) -> int:
        return len(self._pairs)

    def __getitem__(self, index: int) -> Example:
        chosen, rejected = self._pairs[index]
        return {**self._tensors("chosen", *chosen), **self._tensors("rejected", *rejected)}

    @property
    def fingerprint(self) -> str:
        """A hash of all tokens and labels: a resumed run compares it."""
        examples = (self[number] for number in range(len(self)))
        return content_key([str(self.max_length), *(str(part.tolist()) for item in examples for part in item.values())])

    def _is_learnt(self, first: int, last: int) -> bool:
        return bool(self._is_label[first + 1 : min(last, first + self.max_length)].any())

    def _tensors(self, side: str, first: int, last: int) -> Example:
        own = slice(first, min(last, first + self.max_length))
        ids = self._tokens[own].long()
        return {f"{side}_input_ids": ids, f"{side}_labels": ids.masked_fill(~self._is_label[own], IGNORED_LABEL)}

    def _tell_of_others(self, num_same: int, num_cut: int, num_pairs: int) -> None:
        cut = f"an answer that begins behind max_length ({self.max_length})"
        for number, reason in ((num_same, "the same answer twice"), (num_cut, cut)):
            if number:
                say(f"warning: {number} of {num_pairs} pairs are left out: {reason}", is_warning=True)
        if not self._pairs:
            raise ValueError(f"texts hold no pair to learn from: all {num_pairs} are left out")


def _encoded_pairs(texts: Sequence[Pair], encoder: ChatEncoder) -> dict[str, Tensor]:
    """Two answers of each pair whose answers differ: `tokens` (int32) end to end, their `ends`, and `is_label`."""
    encoded = [answer for number in range(len(texts)) for answer in _encoded_pair(texts, number, encoder)]
    tokens = numpy.concatenate([numpy.zeros(0, numpy.int32), *(item.ids for item in encoded)])
    ends = numpy.cumsum([len(item.ids) for item in encoded], dtype=numpy.int64)
    marks = [numpy.ones(len(item.ids), numpy.bool_) if item.is_label is None else item.is_label for item in encoded]
    is_label = numpy.concatenate([numpy.zeros(0, numpy.bool_), *marks])
    return {name: torch.from_numpy(a) for name, a in (("tokens", tokens), ("ends", ends), ("is_label", is_label))}


def _encoded_pair(texts: Sequence[Pair], number: int, encoder: ChatEncoder) -> list[Encoded]:
    """Returns both answers; none if they are the same."""
    pair = texts[number]
    try:
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise TypeError("a pair must be a list of two conversations, the better one first (as_preference)")
        if list(pair[0]) == list(pair[1]):
            return []
        return encoder.encode(_without_common(pair))
    except (TypeError, ValueError) as error:
        where = texts.place_of(number) if hasattr(texts, "place_of") else f"texts, document {number + 1}"
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{where}: {error}") from error


def _without_common(pair: Pair) -> list[Messages]:
    """The conversations, with weight 0 on turns that both begin with."""
    common = 0
    for one, other in zip(*pair, strict=False):
        if one != other:
            break
        common += 1
    return [
        [{**message, "weight": 0} if turn < common else message for turn, message in enumerate(conversation)]
        for conversation in pair
    ]


@draws_nothing
class DataCollatorForPreference:
    """B pairs to a batch of 2 B rows: all preferred answers, then all others in the same order."""

    counts_pairs = True

    def __init__(self, tokenizer: PreTrainedTokenizerBase | None = None, *, pad_to_multiple_of: int = 1) -> None:
        self._collate = DataCollatorForCausalLM(tokenizer, pad_to_multiple_of=pad_to_multiple_of)

    def __call__(self, examples: Sequence[Mapping[str, Tensor]]) -> Batch:
        """Returns tensors of shape (2 B, T)."""
        rows = [
            {"input_ids": example[f"{side}_input_ids"], "labels": example[f"{side}_labels"]}
            for side in ("chosen", "rejected")
            for example in examples
        ]
        return self._collate(rows)
