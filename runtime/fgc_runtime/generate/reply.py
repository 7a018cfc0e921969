"""Tokens of one choice in, deltas of its text out: detokenized, cut at stops, with scores in step with the text."""

import random
from collections import deque

from fgc_runtime.generate.detokenizer import Detokenizer, Vocabulary
from fgc_runtime.generate.guides import Guide
from fgc_runtime.generate.job import Delta, Finish, Job, PlacedToken, Ticket
from fgc_runtime.generate.sampling import Chooser
from fgc_runtime.generate.scores import ScoredToken
from fgc_runtime.generate.stops import StopFilter

_NUM_CONTEXT = 6  # prompt tokens that give the first piece its context; more than any character or space rule needs


class Reply:
    """One choice of a ticket while it is generated."""

    def __init__(self, ticket: Ticket, choice: int, vocabulary: Vocabulary, end_ids: frozenset[int]) -> None:
        job = ticket.job
        self.ticket = ticket
        self.last_token = job.prompt[-1]
        self.ids: list[int] = []  # what was generated
        self.finish: Finish | None = "length" if job.max_tokens == 0 else None
        self._choice = choice
        self._special = vocabulary.special
        self._shown_ids = job.shown_ids
        self._end_ids = job.stop_ids | (frozenset() if job.ignores_end else end_ids)
        prompt = frozenset(job.prompt) if job.sampling.repetition_penalty != 1 else frozenset()
        self._guide = None if job.grammar is None else job.grammar.guide()
        banned = (self._end_ids | end_ids) if job.min_tokens > 0 and self._guide is None else frozenset()
        numbers = _numbers(job, choice)
        self.chooser = Chooser(job.sampling, numbers, prompt=prompt, banned=banned, guide=self._guide)
        self._detokenizer = Detokenizer(vocabulary, job.prompt[-_NUM_CONTEXT:])
        self._filter = StopFilter(job.stops)
        self._num_tokens = 0
        self._logprob = 0.0
        self._num_chars = 0
        self._num_shown = 0
        self._pending: deque[PlacedToken] = deque()

    def take(self, token: int, score: ScoredToken | None) -> Delta | None:
        """Take the next token; None if there is nothing to tell yet."""
        self.last_token = token
        self.ids.append(token)
        self._num_tokens += 1
        if self._num_tokens >= self.ticket.job.min_tokens:
            self.chooser.banned = frozenset()
        is_end = token in self._end_ids
        if score is not None:
            self._logprob += score.logprob or 0.0
        if score is not None and not is_end:
            self._pending.append(PlacedToken(score, self._num_chars))
        shown = "" if is_end else self._show(token)
        if self._filter.is_stopped or is_end:
            self.finish = "stop"
        elif self._num_tokens == self.ticket.job.max_tokens:
            self.finish = "length"
        if self._guide is not None:
            self._follow(self._guide, token, is_end=is_end)
        if self.finish and not self._filter.is_stopped:
            shown += self._flush()
        return self._delta(shown) if shown or self.finish else None

    @property
    def error(self) -> str | None:
        """Returns why the text's grammar cannot be followed any more."""
        return None if self._guide is None else self._guide.error

    def _follow(self, guide: Guide, token: int, *, is_end: bool) -> None:
        """Tell the guide what came: a text that is cut before the grammar lets it end is no finished one."""
        guide.take(token)
        if is_end and not guide.is_whole:
            self.finish = "length"
        elif guide.is_over:
            self.finish = "stop"

    def empty(self) -> Delta:
        """The only delta of a choice that may have no tokens."""
        return self._delta("")

    def _show(self, token: int) -> str:
        special = self._special.get(token)
        if special is None:
            return self._push(self._detokenizer.push(token))
        return self._push(special) if token in self._shown_ids else self._filter.push(special, is_shown=False)

    def _push(self, text: str) -> str:
        self._num_chars += len(text)
        return self._filter.push(text)

    def _flush(self) -> str:
        shown = self._push(self._detokenizer.flush())
        if self._filter.is_stopped:
            self.finish = "stop"
        return shown + self._filter.flush()

    def _delta(self, shown: str) -> Delta:
        self._num_shown += len(shown)
        is_whole = self.finish is not None and not self._filter.is_stopped
        tokens = []
        while self._pending and (is_whole or self._pending[0].offset < self._num_shown):
            tokens.append(self._pending.popleft())
        return Delta(self._choice, shown, tuple(tokens), self._num_tokens, self._logprob, self.finish)


def _numbers(job: Job, choice: int) -> random.Random:
    """A choice's own random numbers: with a seed the same whatever else runs."""
    return random.Random() if job.seed is None else random.Random(f"{job.seed}/{choice}")
