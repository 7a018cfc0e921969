"""Findings for the user, each with a code, a place and help, and their forms as text and JSON."""

from fgc.diagnostics.causes import without_consequences
from fgc.diagnostics.codes import CODES, CodeEntry
from fgc.diagnostics.model import Diagnostic, Edit, Outcome, Related, Severity, has_errors, unique, ways_here
from fgc.diagnostics.nearest import did_you_mean, misspelt, nearest
from fgc.diagnostics.render import render_json, render_text, summary

__all__ = [
    "CODES",
    "CodeEntry",
    "Diagnostic",
    "Edit",
    "Outcome",
    "Related",
    "Severity",
    "did_you_mean",
    "has_errors",
    "misspelt",
    "nearest",
    "render_json",
    "render_text",
    "summary",
    "unique",
    "ways_here",
    "without_consequences",
]
