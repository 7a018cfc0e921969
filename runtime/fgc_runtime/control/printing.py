"""Answers of jobs to what a terminal shows, and words of a terminal to settings."""

import json
from collections.abc import Sequence
from datetime import timedelta

from fgc_runtime.control.jobs import Job
from fgc_runtime.control.server import Answer
from fgc_runtime.terminal import visible, visible_line

_COLUMNS = ("JOB", "STATE", "STEP", "LOSS", "TOKENS/S", "LEFT", "OUTPUT")


def print_list(jobs: Sequence[tuple[Job, Answer]], *, as_json: bool) -> None:
    """One line for each job."""
    if as_json:
        print(json.dumps([_record(job, state) for job, state in jobs], indent=2))
        return
    if not jobs:
        print("no job is running")
        return
    rows = [_COLUMNS, *(tuple(map(visible_line, _row(job, state))) for job, state in jobs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_status(job: Job, state: Answer, *, as_json: bool) -> None:
    """All that a job says of itself."""
    if as_json:
        print(json.dumps(_record(job, state), indent=2))
        return
    is_done = state["state"] == "done"
    headline = f"{state['phase']}, step {_progress(state)}" if is_done else state["message"]
    print(visible(f"{job.job_id}: {headline}"))
    about = [
        ("started", f"{job.started_at}, process {job.pid}"),
        ("program", job.program),
        ("logs in", job.logging_dir),
    ]
    for name, text in [*(_details(state) if is_done else ()), *about]:
        print(f"  {name:<12}{visible_line(str(text))}")


def settings(words: Sequence[str]) -> dict[str, object]:
    """`NAME=STEPS` words by name. Raises ValueError for a word that is none."""
    if not words:
        raise ValueError("say what to set, such as logging_steps=5")
    found: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not value.isdecimal():
            raise ValueError(f"`{word}` must be NAME=STEPS, such as logging_steps=5")
        found[name] = int(value)
    return found


def _record(job: Job, state: Answer) -> dict[str, object]:
    answer = {name: value for name, value in state.items() if name != "state"}
    job_state = state["phase"] if state["state"] == "done" else state["state"]
    about = {name: getattr(job, name) for name in ("job_id", "pid", "started_at", "program", "output_dir")}
    return {**about, "logging_dir": job.logging_dir, "state": job_state, **answer}


def _row(job: Job, state: Answer) -> tuple[str, ...]:
    if state["state"] != "done":
        return (job.job_id, str(state["state"]), "", "", "", "", job.output_dir)
    shown = dict(_details(state))
    cells = [_progress(state), *(shown.get(name, "") for name in ("loss", "tokens/s", "time left"))]
    return (job.job_id, str(state["phase"]), *cells, job.output_dir)


def _progress(state: Answer) -> str:
    return f"{state['step']}/{state['max_steps']}"


def _details(state: Answer) -> list[tuple[str, str]]:
    formats = {"loss": "{:.4f}", "eval_loss": "{:.4f}", "tokens_per_second": "{:,.0f}", "epoch": "{:.2f}"}
    names = {"loss": "loss", "eval_loss": "eval loss", "tokens_per_second": "tokens/s", "epoch": "epoch"}
    shown = [(names[key], formats[key].format(state[key])) for key in names if state.get(key) is not None]
    left_s = state.get("seconds_left")
    if isinstance(left_s, int | float):
        shown.append(("time left", str(timedelta(seconds=round(left_s)))))
    if state.get("checkpoint"):
        shown.append(("checkpoint", str(state["checkpoint"])))
    shown.append(("processes", str(state.get("world_size", 1))))
    return shown
