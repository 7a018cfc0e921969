"""A training program to what its run would need, and what would go wrong: without weights, without other processes."""

from fgc_runtime.rehearsal.report import Rank, Report

__all__ = ["Rank", "Report"]
