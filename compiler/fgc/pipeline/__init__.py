"""The stages strung together, from a parsed template to a graph and to a program.

Reads nothing and prints nothing: templates come through a loader, facts about the world as a value. The emitter is
loaded only with `fgc.pipeline.program`.
"""

from fgc.pipeline.compilation import Compilation, compile_template

__all__ = ["Compilation", "compile_template"]
