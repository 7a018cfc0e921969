"""Run the language server, over standard input and output.

Editors start this command; `editors/README.md` describes the setup for VS Code, Neovim, Helix, Emacs, Zed and
JetBrains. The server looks for packages in the environment of this Python, but does not import them. Needs
`pip install 'fgc[lsp]'`.
"""

import sys
from argparse import ArgumentParser, Namespace
from importlib.util import find_spec

EXAMPLES = ("fgc lsp", "python -m fgc lsp")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc lsp`: some clients add `--stdio`."""
    parser.add_argument("--stdio", action="store_true", help="use standard input and output (always so)")


def run(arguments: Namespace) -> int:
    """Serves one client. Returns 1 if it disconnected without an exit request, 2 if pygls is missing."""
    if find_spec("pygls") is None:
        print("fgc: the language server needs pygls: pip install 'fgc[lsp]'", file=sys.stderr)
        return 2
    from fgc.lsp import serve

    return serve()
