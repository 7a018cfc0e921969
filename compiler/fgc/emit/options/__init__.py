"""Turns options that a configuration declares into options of its program's command line, if that is exact.

An option is *offered* if its variable reaches only values of the program, perhaps computed ones: then running with a
value is the same as building with it. Every other option is *closed*, with a reason.
"""

from fgc.emit.deferred import ARGUMENTS
from fgc.emit.options.parser import PARSE, parser_function
from fgc.emit.options.records import Closed, Offered, Options
from fgc.emit.options.settle import data_of, settle

__all__ = ["ARGUMENTS", "PARSE", "Closed", "Offered", "Options", "data_of", "parser_function", "settle"]
