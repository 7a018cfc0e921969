"""Counters in, Prometheus text out."""

from collections import Counter
from dataclasses import dataclass, field

from fgc_runtime.generate.engine import Load

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Counters:
    """Answers by endpoint and HTTP status; touched by the event loop only."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)


def exposition(counters: Counters, load: Load) -> str:
    """The page that `GET /metrics` answers."""
    lines = [
        *_metric("fgc_requests_running", "gauge", "Sequences in the running batch.", load.num_running),
        *_metric("fgc_requests_waiting", "gauge", "Prompts that wait for a place.", load.num_waiting),
        *_metric("fgc_prompt_tokens_total", "counter", "Prompt tokens read.", load.num_prompt_tokens),
        *_metric("fgc_generated_tokens_total", "counter", "Tokens generated.", load.num_generated_tokens),
        "# HELP fgc_http_requests_total Answers by endpoint and status.",
        "# TYPE fgc_http_requests_total counter",
    ]
    for (path, status), number in sorted(counters.answers.items()):
        lines.append(f'fgc_http_requests_total{{path="{path}",status="{status}"}} {number}')
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, explanation: str, value: int) -> list[str]:
    return [f"# HELP {name} {explanation}", f"# TYPE {name} {kind}", f"{name} {value}"]
