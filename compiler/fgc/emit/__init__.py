"""Graphs to Python programs that read as if a careful person had written them.

Loaded piece by piece: checking a model's description must not load libcst and black.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fgc.emit.program import EmitOptions, Program, emit_program, emit_script

__all__ = ["EmitOptions", "Program", "emit_program", "emit_script"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fgc.emit import program  # libcst and black: 0.4 s

    return getattr(program, name)
