"""What generated programs import: training, data, checkpoints and serving."""

from fgc_runtime.sources import freeze_program

__version__ = "0.1.0"

freeze_program()
