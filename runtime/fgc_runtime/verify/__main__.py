"""Train a few steps straight, then with kills at random points and resumes, and compare the two bit by bit.

PROGRAM is the folder of a build, or a program. It runs on one process, for a few steps, with checkpoints, evaluations
and logs close together; everything is written to a temporary folder. It can be killed at each step, at each batch of an
evaluation and at each file of a checkpoint. Exit code 0: all equal; 1: something differs; 2: it could not run.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_EXAMPLES = """\
examples:
  fgc verify-resume out
  fgc verify-resume out --steps 30 --kills 100 --seed 3
"""


def main(words: Sequence[str] | None = None) -> int:
    """Carry out a command line."""
    arguments = _parser().parse_args(words)
    program = Path(arguments.program).absolute()
    program = program / "train.py" if program.is_dir() else program
    if not program.is_file():
        print(f"fgc: `{program}` does not exist: name the folder of a build, or a program", file=sys.stderr)
        return 2
    from fgc_runtime.verify.verification import Verification, verify  # torch: seconds

    folder = Path(tempfile.mkdtemp(prefix="fgc-verify-"))
    has_failed = True
    try:
        code = verify(Verification(program, folder, arguments.steps, arguments.seed), arguments.kills)
        has_failed = code == 1
        return code
    except KeyboardInterrupt:
        has_failed = False
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        if has_failed:
            print(f"what the runs wrote is in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fgc verify-resume",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="PROGRAM", help="the folder of a build, or a program")
    parser.add_argument("--steps", type=_at_least_one, default=12, help="steps of each run (default: 12)")
    parser.add_argument("--kills", type=_at_least_one, default=10, help="how often to kill (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="chooses the points (default: 0)")
    return parser


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
