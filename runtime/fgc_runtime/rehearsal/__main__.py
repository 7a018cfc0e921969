"""`python -m fgc_runtime.rehearsal out/train.py --ranks 8`: what `fgc train --dry-run=deep` starts."""

import argparse
import sys
from pathlib import Path

from fgc_runtime.output import run_command
from fgc_runtime.rehearsal.run import rehearsed


def main() -> int:
    """Print the report; 1 if there is a problem."""
    parser = argparse.ArgumentParser(prog="fgc_runtime.rehearsal", description=__doc__)
    parser.add_argument("program", type=Path, help="a generated train.py")
    parser.add_argument("--ranks", type=int, default=1, help="processes of the training (default: 1)")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    options = parser.parse_args()
    report = rehearsed(options.program.absolute(), world_size=options.ranks)
    print(report.as_json() if options.format == "json" else report.as_text())
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(run_command(main))
