"""Build a configuration and train.

The program starts in the project's folder, with the configuration's `nproc_per_node` processes: one process as plain
Python, more through torchrun. Arguments after `--` are passed to torchrun. After Ctrl-C, SIGTERM, SIGUSR1 or a closed
terminal, the program finishes its step, writes a checkpoint and ends; `--resume` continues from there. Under `nohup`,
it keeps training when the terminal is closed. The exit code is that of the program.

With `--launch`, the program is built into `launched/` in the project and started on other machines: by Slurm, over
SSH, on Kubernetes, by SkyPilot or Ray. `--dry-run` prints the exact files and commands.
"""

import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from fgc.cli.arguments import CannotRun, add_selection, add_settings

if TYPE_CHECKING:
    from fgc.cli.select import Selected

EXAMPLES = (
    "fgc train",
    "fgc -t CONFIG train -d 0,1          on two devices",
    "fgc train config.yaml --set optimizer.lr=1e-3",
    "fgc train config.yaml --dry-run     print the command",
    "fgc train --dry-run=deep --ranks 8  what would fail on 8 processes, and the memory of each",
    "fgc train --resume                  go on from the latest checkpoint",
    "fgc train --output-dir /scratch/tiny --run-name wide",
    "fgc train -- --nnodes 2 --node-rank 0 --master-addr HOST",
    "fgc train --launch slurm --dry-run  the script and the command of a job",
    "fgc train --launch gpu              a profile of forgather_workspace/launch.yaml",
)
TAKES_DYNAMIC_ARGUMENTS = True
PASSES_WORDS_ON = True


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc train`."""
    add_selection(parser)
    add_settings(parser)
    parser.add_argument("-d", "--devices", metavar="DEVICES", help="which devices: `0`, `0,1`, or `cpu`")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        help="build here (default: a folder in the cache, removed after a month without use)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="build and print the command, but start nothing; needs no device"
    )
    parser.add_argument(
        "--dry-run=deep",
        action="store_true",
        dest="rehearses",
        help="build, read one batch, and make one step on tensors without data, to find errors and the memory needed",
    )
    parser.add_argument(
        "--ranks",
        type=int,
        metavar="N",
        help="with --dry-run=deep: simulate N processes (default: the configuration's)",
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how --dry-run=deep prints (default: text)"
    )
    parser.add_argument(
        "--resume", nargs="?", const="", metavar="CHECKPOINT", help="resume from this, or from the latest checkpoint"
    )
    parser.add_argument(
        "--launch",
        metavar="PROFILE",
        help="run elsewhere: slurm, ssh, kubernetes, skypilot, ray, or a profile of forgather_workspace/launch.yaml",
    )
    parser.add_argument("--output-dir", metavar="FOLDER", help="folder for the model, with a folder for each run")
    parser.add_argument("--run-name", metavar="NAME", help="name of the run's folder, to which the time is appended")
    parser.add_argument(
        "--resume-anyway", action="store_true", help="resume even if the program or the data has changed"
    )


def run(arguments: Namespace) -> int:
    """Train; 1 if a finding is an error, 2 if nothing could be started, else the program's exit code."""
    from fgc.cli.guard import with_selection  # the compiler's stages: 0.15 s

    def train(selected: "Selected") -> int:
        from fgc.cli.launching import launch

        try:
            return launch(selected, arguments)
        except CannotRun as problem:
            print(f"fgc: {problem}", file=sys.stderr)
            return 2

    return with_selection(arguments, train)
