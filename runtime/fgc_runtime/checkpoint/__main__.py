"""`python -m fgc_runtime.checkpoint SRC DST --learning-rate LR`: what `fgc checkpoint modify` runs."""

import sys
from argparse import ArgumentParser
from pathlib import Path

from fgc_runtime.full_disk import file_error
from fgc_runtime.output import run_command


def main(words: list[str] | None = None) -> int:
    """Write the copy; 2 if it cannot be done."""
    parser = ArgumentParser(prog="python -m fgc_runtime.checkpoint", description=__doc__)
    parser.add_argument("source", type=Path, metavar="SRC")
    parser.add_argument("target", type=Path, metavar="DST")
    parser.add_argument("--learning-rate", type=float, required=True, metavar="LR")
    options = parser.parse_args(words)
    from fgc_runtime.checkpoint.modify import DamagedCheckpoint, with_learning_rate  # torch: seconds

    try:
        before, after = with_learning_rate(options.source, options.target, options.learning_rate)
    except (DamagedCheckpoint, ValueError) as error:
        print(f"fgc checkpoint: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"fgc checkpoint: {file_error(error)}", file=sys.stderr)
        return 2
    print(f"{options.target}: learning rate {_listed(after)}, was {_listed(before)}; checkpoint.json says so")
    return 0


def _listed(rates: list[float]) -> str:
    return ", ".join(f"{rate:.6g}" for rate in dict.fromkeys(rates))


def run(words: list[str] | None = None) -> int:
    """`main`, without a traceback where it is interrupted, or nobody reads on."""
    return run_command(lambda: main(words))


if __name__ == "__main__":
    sys.exit(run())
