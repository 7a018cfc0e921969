"""Graphs to Python programs that read as if a careful person had written them."""

from fgc.emit.map_file import map_file
from fgc.emit.program import EmitOptions, Place, Program, emit_program, emit_script

__all__ = ["EmitOptions", "Place", "Program", "emit_program", "emit_script", "map_file"]
