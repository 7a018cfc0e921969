"""A model of this process, as the harness sees a model."""

from typing import Any

from lm_eval.models.huggingface import HFLM


class LocalModel(HFLM):  # type: ignore[misc]  # the harness has no types
    """The harness's own, less a fault: whole texts are scored behind one first token, not behind two.

    The harness puts the prefix token before a text, and the tokenizer puts it there once more.
    """

    _scores_whole_texts = False

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **options: Any) -> list[int]:
        """A text's tokens; of a whole text that is scored without special ones."""
        if self._scores_whole_texts and add_special_tokens is None:
            add_special_tokens = False
        found: list[int] = super().tok_encode(string, add_special_tokens=add_special_tokens, **options)
        return found

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        """The log-probability of whole texts, in windows without overlap."""
        self._scores_whole_texts = True
        try:
            found: list[float] = super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)
        finally:
            self._scores_whole_texts = False
        return found
