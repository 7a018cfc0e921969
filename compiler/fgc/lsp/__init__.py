"""The language server: the protocol around `fgc.ide`. It needs pygls, which the extra `[lsp]` installs."""

import gc
import logging
import os
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fgc.lsp.server import TemplateServer


def serve() -> int:
    """Answers a client over standard input and output until it leaves; 0 if it said so before, else 1."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    gc.set_threshold(100_000, 20, 20)  # a command looks for garbage almost never: a server lives long
    server = make_server()
    input, output = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with redirect_stdout(sys.stderr):  # whatever prints would break the protocol
        server.start_io(input, output)
    return 0 if server.was_shut_down else 1


def make_server() -> "TemplateServer":
    """Returns a server that answers every request, not yet connected to a client."""
    from fgc.lsp.files import add_files  # pygls: 0.6 s
    from fgc.lsp.hierarchy import add_hierarchy
    from fgc.lsp.names import add_names
    from fgc.lsp.server import TemplateServer
    from fgc.lsp.shape import add_commands, add_shape
    from fgc.lsp.writing import add_writing

    server = TemplateServer()
    for add in (add_files, add_names, add_writing, add_shape, add_hierarchy, add_commands):
        add(server)
    return server
