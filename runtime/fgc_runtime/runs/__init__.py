"""Runs on disk: a folder for each, with what it takes to repeat it, and who writes there now."""

from fgc_runtime.runs.folders import LivingRun, claim, has_ended, living_run, living_runs, start_of, turn_of
from fgc_runtime.runs.record import (
    RunRecord,
    configuration,
    fingerprint_of,
    keep_program,
    note_model,
    versions,
)

__all__ = [
    "LivingRun",
    "RunRecord",
    "claim",
    "configuration",
    "fingerprint_of",
    "has_ended",
    "keep_program",
    "living_run",
    "living_runs",
    "note_model",
    "start_of",
    "turn_of",
    "versions",
]
