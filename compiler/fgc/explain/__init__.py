"""Explains a path in a configuration: what set the value, what that overrode, and what its parts came from.

Knows nothing of files: a loader gives the templates.
"""

from fgc.explain.elsewhere import Elsewhere
from fgc.explain.explanation import Explanation, explain
from fgc.explain.feeds import Feed
from fgc.explain.inheritance import Link
from fgc.explain.overrides import Override
from fgc.explain.paths import UnknownPath
from fgc.explain.setters import setters
from fgc.explain.show import ExplainedPart, explanation_to_json, explanation_to_text

__all__ = [
    "Elsewhere",
    "ExplainedPart",
    "Explanation",
    "Feed",
    "Link",
    "Override",
    "UnknownPath",
    "explain",
    "explanation_to_json",
    "explanation_to_text",
    "setters",
]
