"""Model packages: a build-time call in the graph to a readable Hugging Face model package.

The components are specialised source to source: read and rewritten, never imported. `check_model_package` needs
neither libcst nor black, and does not load them.
"""

from typing import TYPE_CHECKING, Any

from fgc.emit.model.description import check_model_package

if TYPE_CHECKING:
    from fgc.emit.model.expand import ModelExpansion, expand_model_package

__all__ = ["ModelExpansion", "check_model_package", "expand_model_package"]


def __getattr__(name: str) -> Any:
    if name not in ("ModelExpansion", "expand_model_package"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fgc.emit.model import expand  # libcst: 0.3 s

    return getattr(expand, name)
