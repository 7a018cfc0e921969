"""Counts requests and times, and formats them for Prometheus."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from fgc_runtime.generate.engine import Load

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


_LIMITS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


@dataclass(slots=True)
class Histogram:
    """A histogram of times: counts of values below each limit, in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(_LIMITS_S) + 1))
    sum_s: float = 0.0

    def observe(self, time_s: float, number: int = 1) -> None:
        """Counts `number` events of the given time."""
        self.counts[bisect_left(_LIMITS_S, time_s)] += number
        self.sum_s += time_s * number

    def add(self, other: "Histogram") -> None:
        """Adds the counts of another histogram."""
        self.counts = [own + more for own, more in zip(self.counts, other.counts, strict=True)]
        self.sum_s += other.sum_s

    def lines(self, name: str, explanation: str) -> list[str]:
        """Returns Prometheus text; each limit counts what is within it."""
        lines, total = [f"# HELP {name} {explanation}", f"# TYPE {name} histogram"], 0
        for limit, count in zip((*_LIMITS_S, "+Inf"), self.counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{limit}"}} {total}')
        return [*lines, f"{name}_sum {self.sum_s:.6f}", f"{name}_count {total}"]


@dataclass(slots=True)
class Counters:
    """Answers by endpoint and HTTP status, and how long texts took; touched by the event loop only."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    first_token: Histogram = field(default_factory=Histogram)
    between_tokens: Histogram = field(default_factory=Histogram)
    mean_between: Histogram = field(default_factory=Histogram)
    queue: Histogram = field(default_factory=Histogram)
    whole: Histogram = field(default_factory=Histogram)


def exposition(counters: Counters, load: Load) -> str:
    """Returns the text of `GET /metrics`."""
    lines = [
        *_metric("fgc_requests_running", "gauge", "Sequences in the running batch.", load.num_running),
        *_metric("fgc_requests_waiting", "gauge", "Prompts that wait for a place.", load.num_waiting),
        *_metric("fgc_prompt_tokens_total", "counter", "Prompt tokens read.", load.num_prompt_tokens),
        *_metric("fgc_generated_tokens_total", "counter", "Tokens generated.", load.num_generated_tokens),
    ]
    lines += [
        *_metric("vllm:num_requests_running", "gauge", "Sequences in the running batch.", load.num_running),
        *_metric("vllm:num_requests_waiting", "gauge", "Prompts that wait for a place.", load.num_waiting),
        *_metric("vllm:prompt_tokens_total", "counter", "Prompt tokens read.", load.num_prompt_tokens),
        *_metric("vllm:generation_tokens_total", "counter", "Tokens generated.", load.num_generated_tokens),
        *_metric("vllm:num_preemptions_total", "counter", "Texts that gave their place back.", load.num_preemptions),
        *counters.first_token.lines("vllm:time_to_first_token_seconds", "From a request to its first token."),
        *counters.between_tokens.lines("vllm:inter_token_latency_seconds", "Between two tokens of a text."),
        *counters.mean_between.lines("vllm:request_time_per_output_token_seconds", "The mean of that by request."),
        *counters.queue.lines("vllm:request_queue_time_seconds", "From a request's prompt to its reading."),
        *counters.whole.lines("vllm:e2e_request_latency_seconds", "From a request to the end of its answer."),
    ]
    name = "fgc_http_requests_total"
    lines += [f"# HELP {name} Answers by endpoint and status.", f"# TYPE {name} counter"]
    for (path, status), number in sorted(counters.answers.items()):
        lines.append(f'{name}{{path="{path}",status="{status}"}} {number}')
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, explanation: str, value: int) -> list[str]:
    return [f"# HELP {name} {explanation}", f"# TYPE {name} {kind}", f"{name} {value}"]
