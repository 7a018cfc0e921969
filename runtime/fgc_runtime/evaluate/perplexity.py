"""The perplexity of a text under a model with a limited context, by windows that slide over it.

Each window of `context` tokens begins `stride` tokens after the last one. Its first tokens were scored by the window
before, and are context here: every token is scored exactly once, with the longest context that the windows give it. The
sum of logarithms is divided by the number of tokens that were scored, and not by windows.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.evaluate.parts import logits_in_parts

_LONGEST_DEFAULT = 4096


@dataclass(frozen=True, slots=True)
class Windows:
    """Divides a text: `context` tokens at a time, `stride` tokens apart."""

    context: int
    stride: int

    def over(self, num_tokens: int) -> Iterator[tuple[int, int, int]]:
        """Yields of each window its begin, its end, and the first token that it scores."""
        scored = 1  # nothing comes before the first token
        for begin in range(0, max(num_tokens - 1, 0), self.stride):
            end = min(begin + self.context, num_tokens)
            yield begin, end, scored
            scored = end
            if end == num_tokens:
                return


@dataclass(frozen=True, slots=True)
class Perplexity:
    """Holds what a text's tokens cost. `loss` is in nats per token; `bits_per_byte` compares tokenizers."""

    perplexity: float
    loss: float
    bits_per_byte: float
    num_tokens: int  # scored
    num_windows: int
    context: int
    stride: int
    begins_with_bos: bool

    def as_record(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return asdict(self)


def windows_of(model: PreTrainedModel, *, context: int | None, stride: int | None) -> Windows:
    """The windows that are asked for. Raises EvaluationError for those that cannot be seen, or leave tokens out."""
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context is None:
        context = min(longest or _LONGEST_DEFAULT, _LONGEST_DEFAULT)
    elif longest is not None and context > longest:
        raise EvaluationError(f"--context {context} is longer than the model's own: {longest} tokens")
    if stride is None:
        stride = max(1, context // 2)
    if stride >= context:
        raise EvaluationError(
            f"--stride {stride} must be smaller than --context {context}, at most {context - 1}: "
            "the first token of each window is context, and would be scored by none"
        )
    return Windows(context, stride)


@torch.inference_mode()
def perplexity(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: str, windows: Windows, *, batch_size: int = 1
) -> Perplexity:
    """Scores a text. If the tokenizer begins texts with a special token, this one does, and that token is not scored.

    Raises EvaluationError for a text of fewer than two tokens, and for a model whose logits are no numbers.
    """
    ids, begins_with_bos = _tokens(tokenizer, text)
    planned = list(windows.over(len(ids)))
    if not planned:
        raise EvaluationError(f"the text has {len(ids)} token: nothing comes before it, so nothing can be scored")
    total, count = 0.0, 0
    with tqdm(total=len(planned), desc="perplexity", unit="window", file=sys.stderr, leave=False) as bar:
        for batch in _batches(planned, batch_size):
            summed, scored = _score(model, ids, batch)
            total, count = total + summed, count + scored
            bar.update(len(batch))
    assert count == len(ids) - 1, "each token behind the first is scored once"
    loss = total / count
    if not math.isfinite(loss):
        raise EvaluationError(
            f"the loss of this text is {loss}: the model's weights are broken, or its dtype too small"
        )
    unscored = "" if begins_with_bos else str(tokenizer.decode(ids[:1]))
    num_bytes = max(1, len(text.encode()) - len(unscored.encode()))
    exponent = math.exp(loss) if loss < 700 else math.inf
    bits = total / math.log(2) / num_bytes
    return Perplexity(exponent, loss, bits, count, len(planned), windows.context, windows.stride, begins_with_bos)


def _tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[list[int], bool]:
    """The text's tokens behind what the tokenizer puts before a text, but without what it puts behind one."""
    plain = list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    empty = list(tokenizer("", verbose=False)["input_ids"])
    bos = tokenizer.bos_token_id
    begins = bos is not None and empty[:1] == [bos] and plain[:1] != [bos]
    return ([bos, *plain] if begins else plain), begins or (bos is not None and plain[:1] == [bos])


def _batches(windows: Sequence[tuple[int, int, int]], batch_size: int) -> Iterator[Sequence[tuple[int, int, int]]]:
    """Windows of equal length together: nothing is padded."""
    batch: list[tuple[int, int, int]] = []
    for window in windows:
        if batch and (len(batch) == batch_size or window[1] - window[0] != batch[0][1] - batch[0][0]):
            yield batch
            batch = []
        batch.append(window)
    yield batch


def _score(model: PreTrainedModel, ids: Sequence[int], batch: Sequence[tuple[int, int, int]]) -> tuple[float, int]:
    """The summed loss of the tokens that a batch of windows scores, and how many they are."""
    tokens_BT = torch.tensor([ids[begin:end] for begin, end, _ in batch], device=model.device)
    firsts = [scored - begin for begin, _, scored in batch]  # of each window, the first token that it scores
    assert min(firsts) > 0, "a scored token has one before it in its window"
    total = 0.0
    for start, logits_BTV in logits_in_parts(model, tokens_BT, first=min(firsts) - 1):
        for logits_TV, tokens_T, first in zip(logits_BTV, tokens_BT, firsts, strict=True):
            skipped = max(0, first - 1 - start)
            targets_T = tokens_T[start + skipped + 1 : start + len(logits_TV) + 1]
            given_TV = logits_TV[skipped : skipped + len(targets_T)].float()
            total += float(torch.nn.functional.cross_entropy(given_TV, targets_T, reduction="none").double().sum())
    return total, sum(end - scored for _, end, scored in batch)
