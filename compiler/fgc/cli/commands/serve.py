"""Serve a trained model over the OpenAI HTTP API.

All options are those of `python -m fgc_runtime.serve`, which this runs; `fgc serve --help` shows them.
"""

import os
import sys
from argparse import REMAINDER, ArgumentParser, Namespace

from fgc.workspace.library import package_folder

EXAMPLES = ("fgc serve output_models/tiny_llama", "fgc serve output_models/tiny_llama --port 8080")


def configure(parser: ArgumentParser) -> None:
    """Everything is passed on."""
    parser.add_argument("rest", nargs=REMAINDER, metavar="DIR ...", help="model folder and server options")


def run(arguments: Namespace) -> int:
    """Become the server; 2 if the runtime is not installed."""
    if package_folder("fgc_runtime") is None or package_folder("starlette") is None:
        print("fgc: serving needs more packages: pip install 'fgc[serve]'", file=sys.stderr)
        return 2
    return os.execv(sys.executable, [sys.executable, "-m", "fgc_runtime.serve", *arguments.rest])
