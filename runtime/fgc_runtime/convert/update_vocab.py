"""`python -m fgc_runtime.convert.update_vocab JSON`: one update of a vocabulary, for `fgc update-vocab`."""

import json
import sys

from fgc_runtime.convert.faults import ConvertError
from fgc_runtime.full_disk import file_error
from fgc_runtime.models.folder import ModelError
from fgc_runtime.output import run_command


def main(words: list[str]) -> int:
    """Update; 2 if it cannot be done."""
    try:
        from transformers.utils import logging  # torch and transformers: seconds

        from fgc_runtime.convert.vocabulary import run_update

        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        return run_update(json.loads(words[0]), print)
    except (ConvertError, ModelError) as error:
        print(f"fgc update-vocab: {error}", file=sys.stderr)
    except OSError as error:
        print(f"fgc update-vocab: {file_error(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 2


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(sys.argv[1:])))
