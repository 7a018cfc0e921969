"""Model packages: a build-time call in the graph to a readable Hugging Face model package.

The components are specialised source to source: read and rewritten, never imported. `check_model_package` needs
neither libcst nor black.
"""

from fgc.emit.model.description import check_model_package
from fgc.emit.model.expand import Expansion, expand_model_package

__all__ = ["Expansion", "check_model_package", "expand_model_package"]
