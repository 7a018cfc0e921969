"""Options that a configuration declares to options of its program's command line, where that is exact.

An option is offered if its variable reaches nothing but values of the program, perhaps computed: then running with a
value is the same as building with it. Everything else is closed, with the reason.
"""

from fgc.emit.deferred import ARGUMENTS
from fgc.emit.options.parser import PARSE, parser_function
from fgc.emit.options.records import Closed, Offered, Options
from fgc.emit.options.settle import data_of, settle

__all__ = ["ARGUMENTS", "PARSE", "Closed", "Offered", "Options", "data_of", "parser_function", "settle"]
