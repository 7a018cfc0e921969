"""Logits in, one chosen token per row out.

A row's choice depends on its own logits, settings and random numbers only, never on who else is in the batch: rows
are grouped by what they need, and each row's arithmetic is the same in any group size. Letters: B rows, V vocabulary.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fgc_runtime.generate.guides import Guide

_GREEDY_BELOW = 1e-5  # dividing by less only adds rounding to what argmax says exactly


@dataclass(frozen=True, slots=True)
class Sampling:
    """Says how a token is chosen; penalties count what was generated, and not the prompt but where it is said."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0  # 0 is all
    min_p: float = 0.0  # a token needs this share of the likeliest one's probability
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0  # counts the prompt's tokens too
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    @property
    def is_greedy(self) -> bool:
        return self.temperature < _GREEDY_BELOW

    @property
    def is_filtered(self) -> bool:
        return self.top_p < 1 or self.top_k > 0 or self.min_p > 0

    @property
    def has_penalties(self) -> bool:
        return self.frequency_penalty != 0 or self.presence_penalty != 0 or self.repetition_penalty != 1


@dataclass(slots=True)
class Chooser:
    """One sequence's settings with its random numbers and the tokens it has had."""

    sampling: Sampling
    numbers: random.Random
    counts: Counter[int] = field(default_factory=Counter)
    prompt: frozenset[int] = frozenset()
    banned: frozenset[int] = frozenset()  # tokens that may not be chosen now
    guide: Guide | None = None  # rules out what a grammar does not admit

    @property
    def changes_logits(self) -> bool:
        return bool(self.sampling.logit_bias or self.sampling.has_penalties or self.banned or self.guide)

    def adjust(self, logits_V: Tensor) -> None:
        """Apply bias and penalties in place, as OpenAI's reference and (repetition) the CTRL paper define them."""
        seen = self.prompt | self.counts.keys() if self.sampling.repetition_penalty != 1 else ()
        if seen:
            ids = torch.tensor(sorted(seen), device=logits_V.device)
            logits, penalty = logits_V[ids], self.sampling.repetition_penalty
            logits_V[ids] = torch.where(logits > 0, logits / penalty, logits * penalty)
        if bias := self.sampling.logit_bias:
            ids = torch.tensor(list(bias), device=logits_V.device)
            logits_V[ids] += torch.tensor(list(bias.values()), device=logits_V.device)
        if self.sampling.has_penalties and self.counts:
            ids = torch.tensor(list(self.counts), device=logits_V.device)
            counts = torch.tensor(list(self.counts.values()), device=logits_V.device)
            logits_V[ids] -= counts * self.sampling.frequency_penalty + self.sampling.presence_penalty
        if self.banned:
            logits_V[torch.tensor(list(self.banned), device=logits_V.device)] = -torch.inf
        if self.guide is not None:
            self.guide.restrict(logits_V)


def choose(logits_BV: Tensor, choosers: Sequence[Chooser]) -> list[int]:
    """Choose each row's next token; changes `logits_BV` where a row has bias or penalties."""
    for row, chooser in enumerate(choosers):
        if chooser.changes_logits:
            chooser.adjust(logits_BV[row])
    tokens = logits_BV.argmax(-1).tolist()
    drawing = [row for row, chooser in enumerate(choosers) if not chooser.sampling.is_greedy]
    for is_filtered, draw in ((False, _draw), (True, _draw_filtered)):
        rows = [row for row in drawing if choosers[row].sampling.is_filtered is is_filtered]
        if rows:
            chosen = draw(logits_BV[rows], [choosers[row] for row in rows])
            for row, token in zip(rows, chosen, strict=True):
                tokens[row] = token
    for chooser, token in zip(choosers, tokens, strict=True):
        if chooser.sampling.has_penalties:
            chooser.counts[token] += 1
    return [int(token) for token in tokens]


def _draw(logits_BV: Tensor, choosers: Sequence[Chooser]) -> list[int]:
    return _inverse_cdf(_probabilities(logits_BV, choosers), choosers)[:, 0].tolist()


def _draw_filtered(logits_BV: Tensor, choosers: Sequence[Chooser]) -> list[int]:
    p_BV, ids_BV = _probabilities(logits_BV, choosers).sort(dim=-1, descending=True, stable=True)
    kept_BV = filtered(
        p_BV,
        top_k=[chooser.sampling.top_k or p_BV.shape[1] for chooser in choosers],
        top_p=[chooser.sampling.top_p for chooser in choosers],
    )
    floors = torch.tensor([chooser.sampling.min_p for chooser in choosers], dtype=p_BV.dtype, device=p_BV.device)
    kept_BV = kept_BV * (p_BV >= floors[:, None] * p_BV[:, :1])
    return ids_BV.gather(1, _inverse_cdf(kept_BV, choosers))[:, 0].tolist()


def filtered(p_BV: Tensor, *, top_k: Sequence[int], top_p: Sequence[float]) -> Tensor:
    """Zero what each row's top-k and then nucleus leave out of its descending probabilities; at least one stays."""
    ranks_V = torch.arange(p_BV.shape[1], device=p_BV.device)
    p_BV = p_BV * (ranks_V < torch.tensor(top_k, device=p_BV.device)[:, None])
    p_BV = p_BV / p_BV.sum(-1, keepdim=True)
    before_BV = p_BV.cumsum(-1) - p_BV
    in_nucleus_BV = before_BV < torch.tensor(top_p, dtype=p_BV.dtype, device=p_BV.device)[:, None]
    return p_BV * (in_nucleus_BV | (ranks_V == 0))


def _probabilities(logits_BV: Tensor, choosers: Sequence[Chooser]) -> Tensor:
    temperatures = torch.tensor([chooser.sampling.temperature for chooser in choosers], device=logits_BV.device)
    return (logits_BV / temperatures[:, None]).softmax(-1, dtype=torch.float64)


def _inverse_cdf(weights_BV: Tensor, choosers: Sequence[Chooser]) -> Tensor:
    """Index into each row's weights by one uniform number per row, shape (B, 1)."""
    numbers = torch.tensor([chooser.numbers.random() for chooser in choosers], dtype=torch.float64)
    cdf_BV = weights_BV.cumsum(-1)
    targets_B1 = numbers.to(cdf_BV.device)[:, None] * cdf_BV[:, -1:]
    return torch.searchsorted(cdf_BV, targets_B1, right=True).clamp_(max=cdf_BV.shape[1] - 1)
