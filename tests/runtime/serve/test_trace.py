"""The record of a request: the times between its tokens, one by one."""

from collections.abc import Iterator

import pytest
from fgc_runtime.serve import trace
from fgc_runtime.serve.metrics import Counters, Histogram
from fgc_runtime.serve.trace import Trace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr(trace.time, "monotonic", lambda: now[0])
    yield now


def test_each_token_counts_its_part_of_the_time_since_the_event_before(clock: list[float]) -> None:
    counters, noted = Counters(), Trace("x", 99.0)
    events = ((100.0, 0, 1), (100.5, 1, 2), (100.5, 0, 1), (101.0, 0, 3), (101.0, 1, 2), (103.5, 1, 3))
    for now, choice, num_tokens in events:  # an event of one choice notes all, also those that gained nothing
        clock[0] = now
        noted.count(5, num_tokens)
        noted.pace(choice, num_tokens)
    noted.observe(counters)
    expected = Histogram()
    expected.observe(0.5, 2)
    expected.observe(3.0)
    assert counters.between_tokens == expected
    assert counters.mean_between.sum_s == pytest.approx(4 / 3) and sum(counters.mean_between.counts) == 1


def test_a_text_of_one_token_has_no_time_between(clock: list[float]) -> None:
    counters, noted = Counters(), Trace("x", 99.0)
    noted.count(5, 1)
    noted.pace(0, 1)
    noted.observe(counters)
    assert counters.between_tokens == counters.mean_between == Histogram() and sum(counters.whole.counts) == 1
