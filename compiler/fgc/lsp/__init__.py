"""The language server: the protocol around `fgc.ide`. It needs pygls, which the extra `[lsp]` installs."""

import gc
import logging
import sys


def serve() -> int:
    """Answers a client over standard input and output until it leaves; 0 if it said so before, else 1."""
    from fgc.lsp.files import add_files  # pygls: 0.6 s
    from fgc.lsp.names import add_names
    from fgc.lsp.server import TemplateServer
    from fgc.lsp.shape import add_commands, add_shape
    from fgc.lsp.writing import add_writing

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    gc.set_threshold(100_000, 20, 20)  # a command looks for garbage almost never: a server lives long
    server = TemplateServer()
    for add in (add_files, add_names, add_writing, add_shape, add_commands):
        add(server)
    server.start_io()
    return 0 if server.was_shut_down else 1
