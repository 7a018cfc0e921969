"""`python -m fgc_runtime.start MODULE WORDS`: runs a module; a signal is no error of the program.

Ctrl-C while the module's packages load ends it without a word, and one that torchrun has passed on ends torchrun so.
"""

import importlib
import runpy
import signal
import sys
from importlib.util import find_spec


def start() -> None:
    """Run the module that the first word names with the words behind it.

    Loading torch takes seconds in which nothing needs to be tidied up, and a traceback would tell of nothing.
    """
    _, module, *words = sys.argv
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    spec = find_spec(module)  # loads the packages above it
    if spec is not None and spec.submodule_search_locations is not None:
        importlib.import_module(module)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        number = getattr(
            error, "sigval", None
        )  # torchrun's SignalException: its processes have said what there is to say
        if not isinstance(number, int):
            raise
        sys.exit(128 + number)


if __name__ == "__main__":
    start()
