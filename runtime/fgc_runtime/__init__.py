"""The library that generated programs import: training, data, checkpoints and serving."""

from fgc_runtime.releases import VERSION, check_program
from fgc_runtime.sources import freeze_program

__version__ = VERSION

freeze_program()
check_program()
