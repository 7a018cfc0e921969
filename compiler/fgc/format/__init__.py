"""A template's text to the same template, laid out one way. Comments, quotes, parentheses and YAML stay as written.

Knows nothing of files, values or other templates.
"""

from fgc.format.formatter import format_source
from fgc.format.meaning import meaning_of
from fgc.format.spacing import spaced

__all__ = ["format_source", "meaning_of", "spaced"]
