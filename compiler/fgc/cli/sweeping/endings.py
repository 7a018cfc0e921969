"""Turns a trial's exit code, reports and run record into an outcome and a value."""

import math
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from fgc.cli.sweeping.plan import SweepPlan
from fgc.cli.sweeping.study import Outcome
from fgc.cli.sweeping.trials import TrialProcess, last_words, record_of
from fgc.diagnostics import did_you_mean

_DIVERGED = ("FloatingPointError", "NonFiniteLoss")
_MOST_NAMES = 12


class Ending(Struct, frozen=True):
    """The end of a trial; `lacks_metric`: it came to its end, and the sweep's metric was never logged."""

    outcome: Outcome
    value: float | None = None
    reason: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    run: Path | None = None
    lacks_metric: bool = False


def ending_of(
    process: TrialProcess, code: int, plan: SweepPlan, reported: Mapping[int, float], *, was_told: bool
) -> Ending:
    """Returns how a trial ended; `reported` are the values of the metric by step, `was_told`: the sweep is stopping."""
    run = record_of(process.run)
    record = {} if run is None else run.record
    state, reason = record.get("state"), record.get("reason")
    ended: Outcome
    value = None
    lacks_metric = False
    if process.prune_reason is not None:
        value = reported.get(max(reported)) if reported else None
        ended = "diverged" if value is not None and math.isnan(value) else "pruned"
        reason = process.prune_reason
    elif code == 0 and not (state == "stopped" and "exit_code" in record):
        ended, value, reason, lacks_metric = _completed(process, plan, reported, reason)
    elif state == "stopped" or (was_told and state != "failed"):
        ended, reason = "interrupted", reason or "the sweep was stopped"
    elif isinstance(reason, str) and reason.startswith(_DIVERGED):
        ended = "diverged"
    else:
        ended, reason = "failed", _why_failed(process, code, reason)
    return Ending(ended, value, reason, process.latest, process.run, lacks_metric)


def _completed(
    process: TrialProcess, plan: SweepPlan, reported: Mapping[int, float], reason: str | None
) -> tuple[Outcome, float | None, str | None, bool]:
    if not reported:
        return "failed", None, _lacking(plan.metric, process.latest), True
    finite = [value for value in reported.values() if not math.isnan(value)]
    last = reported[max(reported)]
    if math.isnan(last) or not finite:
        return "diverged", None, f"{plan.metric} is not a number", False
    best = max(finite, key=lambda value: plan.sign * value)
    return "complete", best if plan.judge_by == "best" else last, reason, False


def _lacking(metric: str, found: Mapping[str, float]) -> str:
    """Returns what to say where a training is over and the metric has not been among its numbers."""
    if not found:
        return f"the training logged nothing, so no `{metric}`; a trial reports through fgc_runtime.trial or a trainer"
    names = sorted(name for name in found if "/" not in name)
    help = did_you_mean(metric, names) or "an evaluation needs an eval_strategy and an eval_dataset"
    shown = ", ".join([*names[:_MOST_NAMES], *(["..."] if len(names) > _MOST_NAMES else [])])
    end = "" if help.endswith("?") else "."
    return f"`{metric}` was never logged; {help}{end} The training logs {shown}"


def _why_failed(process: TrialProcess, code: int, reason: object) -> str:
    if isinstance(reason, str):
        return reason
    words = last_words(process.folder)
    if code < 0 or code > 128:
        signal = -code if code < 0 else code - 128
        hint = ", perhaps for lack of memory" if signal == 9 else ""
        return f"ended by signal {signal}{hint}"
    return f"exit code {code}: {words}" if words else f"exit code {code}"
