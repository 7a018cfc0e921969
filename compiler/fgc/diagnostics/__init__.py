"""What we tell the user: findings with a code, a place, and help; and how they look as text or JSON."""

from fgc.diagnostics.codes import CODES, CodeEntry
from fgc.diagnostics.model import Diagnostic, Outcome, Related, Severity, has_errors, unique
from fgc.diagnostics.nearest import did_you_mean, nearest
from fgc.diagnostics.render import render_json, render_text, summary

__all__ = [
    "CODES",
    "CodeEntry",
    "Diagnostic",
    "Outcome",
    "Related",
    "Severity",
    "did_you_mean",
    "has_errors",
    "nearest",
    "render_json",
    "render_text",
    "summary",
    "unique",
]
