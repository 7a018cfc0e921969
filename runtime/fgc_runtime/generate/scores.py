"""Logits and the tokens that followed in, log probabilities out: the model's own, before temperature and penalties.

Letters: T positions (or rows), V vocabulary, N alternatives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token with its log probability and the most likely alternatives; a text's first token has none."""

    id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...] = ()


def scored(logits_TV: Tensor, tokens: Sequence[int], *, num_top: int) -> list[ScoredToken]:
    """Score `tokens[t]` by `logits_TV[t]`, with the `num_top` most likely ones beside it."""
    if not tokens:
        return []
    logprobs_TV = logits_TV.log_softmax(-1)
    tokens_T1 = torch.tensor(tokens, device=logits_TV.device)[:, None]
    chosen_T = logprobs_TV.gather(1, tokens_T1)[:, 0].tolist()
    top_TN, ids_TN = logprobs_TV.topk(min(num_top, logits_TV.shape[1]), dim=-1)
    rows = zip(tokens, chosen_T, ids_TN.tolist(), top_TN.tolist(), strict=True)
    return [ScoredToken(token, value, tuple(zip(ids, top, strict=True))) for token, value, ids, top in rows]
