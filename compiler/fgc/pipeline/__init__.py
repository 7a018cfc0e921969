"""The stages strung together, from a parsed template to a graph.

Reads nothing and prints nothing: templates come through a loader, facts about the world as a value.
"""

from fgc.pipeline.compilation import Compilation, compile_template

__all__ = ["Compilation", "compile_template"]
