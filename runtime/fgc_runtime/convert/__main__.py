"""`python -m fgc_runtime.convert FD`: one conversion, for the compiler that started this (`fgc convert`)."""

import os
import signal
import sys
from typing import NoReturn

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.convert.talk import Compiler
from fgc_runtime.full_disk import file_error
from fgc_runtime.models.folder import ModelError
from fgc_runtime.output import run_command
from fgc_runtime.trust import UntrustedCode

_CANNOT, _INTERRUPTED, _TERMINATED = 2, 130, 143


def main(words: list[str]) -> int:
    """Convert; 1 if a dry run finds problems, 2 if it cannot be done."""
    signal.signal(signal.SIGTERM, _terminate)
    compiler = Compiler(int(words[0]))
    try:
        message = compiler.receive()
        from transformers.utils import logging  # torch and transformers: seconds

        from fgc_runtime.convert.conversion import Job, convert

        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        return convert(Job.of(message), compiler)
    except (ConvertError, ModelError, UntrustedCode) as error:
        print(f"fgc convert: {error}", file=sys.stderr)
        return _CANNOT
    except OSError as error:
        print(f"fgc convert: {file_error(error)}", file=sys.stderr)
        return _CANNOT
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        os.close(int(words[0]))


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(sys.argv[1:])))
