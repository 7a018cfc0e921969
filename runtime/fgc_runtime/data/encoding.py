"""Documents to token ids, with a mark on those that are to be learnt: what packing and padding start from."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

Ids = NDArray[numpy.int32]
Marks = NDArray[numpy.bool_]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A document. `is_label` None: every token is to be learnt."""

    ids: Ids
    is_label: Marks | None = None


class Encoder(Protocol):
    """Documents of one kind to ids. `key` names everything that the result depends on, for caches."""

    @property
    def key(self) -> str: ...
    def encode(self, documents: Sequence[Any]) -> list[Encoded]: ...


class TextEncoder:
    """A text to `<bos> tokens <eos>`.

    Special tokens are put in here and never read from the text: a document that contains the letters `<|eos|>` does not
    end there. `add_bos` None: where the tokenizer has such a token. `cut_at`: a regular expression; a text ends before
    its first match.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        *,
        add_bos: bool | None = None,
        add_eos: bool = True,
        cut_at: str | None = None,
    ) -> None:
        if add_eos and tokenizer.eos_token_id is None:
            raise ValueError("tokenizer must have an eos_token, which ends documents; or give add_eos: false")
        if add_bos and tokenizer.bos_token_id is None:
            raise ValueError("tokenizer must have a bos_token where add_bos is true; or leave add_bos out")
        self._before = [tokenizer.bos_token_id] if add_bos is not False and tokenizer.bos_token_id is not None else []
        self._after = [tokenizer.eos_token_id] if add_eos else []
        self._cut_at = re.compile(cut_at) if cut_at is not None else None
        self._backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._backend.encode_special_tokens = True  # the text's own "<|eos|>" is letters, not the end
        self._backend.no_truncation()
        self._backend.no_padding()

    @property
    def key(self) -> str:
        """The tokenizer and all settings."""
        cut_at = None if self._cut_at is None else self._cut_at.pattern
        return json.dumps([self._backend.to_str(), self._before, self._after, cut_at])

    def encode(self, documents: Sequence[str]) -> list[Encoded]:
        """Each text's ids."""
        texts = [self._whole(document) for document in documents]
        encodings = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        return [Encoded(numpy.array([*self._before, *e.ids, *self._after], dtype=numpy.int32)) for e in encodings]

    def _whole(self, document: str) -> str:
        if not isinstance(document, str):
            raise TypeError(
                f"texts: a document must be a string, not {type(document).__name__}; conversations need encoder: "
                "fgc_runtime.data:ChatEncoder"
            )
        found = self._cut_at.search(document) if self._cut_at is not None else None
        return document[: found.start()] if found else document
