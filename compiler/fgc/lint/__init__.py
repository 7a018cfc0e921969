"""Findings that forbid nothing: what looks like a mistake."""
