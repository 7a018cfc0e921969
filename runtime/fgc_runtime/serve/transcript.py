"""Events of a request's jobs in, its choices out: numbered over all prompts, with the prompt in front for echo."""

from collections.abc import Sequence
from dataclasses import replace

from fgc_runtime.generate.detokenizer import Detokenizer, Vocabulary
from fgc_runtime.generate.job import Delta, Job, PlacedToken, PromptScores
from fgc_runtime.serve.answers import Choice
from fgc_runtime.serve.exchange import Told


class Transcript:
    """The choices of one request; `echoes` are the prompts' texts, if they are to be repeated."""

    def __init__(self, jobs: Sequence[Job], vocabulary: Vocabulary, echoes: Sequence[str] | None) -> None:
        self._jobs = jobs
        self._vocabulary = vocabulary
        self._echoes = echoes
        self._scores: dict[int, list[PlacedToken]] = {}
        self.num_tokens: dict[int, int] = {}  # by choice, until now
        self._logprobs: dict[int, float] = {}
        self._is_begun: set[int] = set()

    @property
    def num_choices(self) -> int:
        return sum(job.num_choices for job in self._jobs)

    @property
    def num_prompt_tokens(self) -> int:
        return sum(len(job.prompt) for job in self._jobs)

    @property
    def num_generated_tokens(self) -> int:
        return sum(self.num_tokens.values())

    def gains(self, told: Sequence[Told]) -> dict[int, Choice]:
        """Returns what each choice gained, by its index; several events of a choice become one."""
        gained: dict[int, Choice] = {}
        for number, event in told:
            if isinstance(event, PromptScores):
                self._scores[number] = self._placed(number, event)
                continue
            index = number * self._jobs[number].num_choices + event.choice
            self.num_tokens[index], self._logprobs[index] = event.num_tokens, event.logprob
            if index not in self._is_begun:
                self._is_begun.add(index)
                gained[index] = self._beginning(number)
            gained.setdefault(index, Choice()).add(self._shifted(number, event))
        return gained

    def best(self, choices: Sequence[Choice], num_best: int) -> list[Choice]:
        """Returns of each prompt's choices those whose tokens are likeliest on average, the best one first."""
        kept, start = [], 0
        for job in self._jobs:
            indices = range(start, start + job.num_choices)
            kept += [choices[index] for index in sorted(indices, key=self._mean_logprob, reverse=True)[:num_best]]
            start += job.num_choices
        return kept

    def _mean_logprob(self, index: int) -> float:
        return self._logprobs[index] / max(1, self.num_tokens[index])

    def _beginning(self, number: int) -> Choice:
        echo = "" if self._echoes is None else self._echoes[number]
        return Choice(echo, list(self._scores.get(number, ())))

    def _shifted(self, number: int, delta: Delta) -> Delta:
        if self._echoes is None or not delta.tokens:
            return delta
        shift = len(self._echoes[number])
        return replace(delta, tokens=tuple(replace(each, offset=each.offset + shift) for each in delta.tokens))

    def _placed(self, number: int, scores: PromptScores) -> list[PlacedToken]:
        detokenizer, offset, placed = Detokenizer(self._vocabulary), 0, []
        for token in scores.tokens:
            placed.append(PlacedToken(token, offset))
            offset += len(detokenizer.push(token.id))
        return placed
