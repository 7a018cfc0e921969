"""`python -m fgc` is `fgc`."""

from fgc.cli.main import run

run()
