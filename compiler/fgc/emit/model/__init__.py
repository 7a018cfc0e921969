"""Model packages: a build-time call in the graph to a readable Hugging Face model package.

The components are specialised source to source: read and rewritten, never imported.
"""

from fgc.emit.model.expand import Expansion, expand_model_package

__all__ = ["Expansion", "expand_model_package"]
