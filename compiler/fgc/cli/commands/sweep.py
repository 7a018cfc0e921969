"""Build and train a configuration with many values, chosen by Optuna or from a grid.

`--over PATH=RANGE` names a value as `--set` does, or an option that the configuration declares. A range is `1,2,3`,
`log(1e-4,1e-2)`, `uniform(0,0.3)` or `int(2,8)`, with `step=` or `n=`; append ` if OTHER=VALUE` to make it depend on
another value. If all ranges are lists, the sweep is a grid; otherwise Optuna's TPE chooses, 20 times. The target
`sweep` of a configuration can define the same. All values are checked before the first trial starts.

The study is in the configuration's output folder, below `sweeps/NAME`, with the runs of all trials. On Ctrl-C, trials
write a checkpoint; `--resume` continues the sweep, also after a kill. `fgc sweep show [NAME]` prints trials, the best
one, and the importance of each value; `fgc sweep list` lists all sweeps.
"""

import sys
from argparse import ArgumentParser, Namespace

from fgc.cli.arguments import CannotRun, add_selection, add_settings

EXAMPLES = (
    "fgc sweep config.yaml --over optimizer.lr=log(1e-4,1e-2) --trials 12",
    "fgc -t CONFIG sweep --over optimizer.lr=1e-3,3e-3 --over trainer_args.seed=1,2     a grid of four",
    "fgc sweep --over 'optimizer.lr=log(1e-4,1e-2)' --pruner median --jobs 2",
    "fgc sweep                        what the configuration's target `sweep` says",
    "fgc sweep --resume               go on after Ctrl-C, a kill or a crash",
    "fgc sweep --join                 work on a sweep that is going on, from another terminal or machine",
    "fgc sweep --dry-run              check, and print the plan and the first trial's program",
    "fgc sweep show                   the trials, the best one, what the metric depends on",
    "fgc sweep show NAME --plots plots/ --format json",
)
TAKES_DYNAMIC_ARGUMENTS = True
ACTIONS = ("show", "list")


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc sweep`."""
    add_selection(parser)
    add_settings(parser)
    add = parser.add_argument
    add(
        "study",
        nargs="?",
        metavar="NAME",
        help="behind `show`: a sweep by its name or folder, or a configuration file (default: the only one)",
    )
    _add_search(parser)
    add("--name", metavar="NAME", help="name of the sweep (default: the configuration's name)")
    add("--storage", metavar="URL", help="a journal file, or a URL of a database that several machines reach")
    add("--resume", action="store_true", help="continue the sweep of this name")
    add("--join", action="store_true", help="take part in a running sweep")
    add(
        "--interrupted",
        choices=("resume", "restart", "fail"),
        default="resume",
        help="with --resume: resume killed trials from checkpoints (default), restart them, or let them fail",
    )
    add("--anyway", action="store_true", help="with --resume: continue even if templates have changed")
    add("-d", "--devices", metavar="DEVICES", help="one trial on each of `0,1,2`, or `cpu`")
    add("--jobs", type=int, metavar="K", help="trials at the same time (default: one for each of -d, or 1)")
    add("--dry-run", action="store_true", help="check, print the plan, and start nothing")
    add("--format", choices=("text", "json", "csv"), default="text", help="how `show` prints (default: text)")
    add("--plots", metavar="FOLDER", help="with `show`: write PNG plots there")


def _add_search(parser: ArgumentParser) -> None:
    """Adds the options that say what is searched, and how."""
    add = parser.add_argument_group("the search").add_argument
    add("--over", action="append", default=[], metavar="PATH=RANGE", help="a value to try; may be repeated")
    add(
        "--minimize",
        metavar="METRIC",
        help="metric to minimize (default: the configuration's metric_for_best_model, or eval_loss)",
    )
    add("--maximize", metavar="METRIC", help="metric to maximize")
    add("--trials", type=int, metavar="N", help="number of trials (default: 20, or the whole grid)")
    add("--hours", type=float, metavar="H", help="start no trial after H hours")
    add("--grid", action="store_true", default=None, help="try every combination")
    add("--sampler", metavar="NAME", help="tpe (default), random, qmc, cmaes, gp; with arguments as in `tpe(seed=1)`")
    add("--pruner", metavar="NAME", help="end bad trials early: median, hyperband, asha, percentile, threshold, none")
    add("--seed", type=int, metavar="N", help="seed of the sampler; trials train with the configuration's seed")
    add("--judge-by", choices=("last", "best"), help="which evaluation of a trial counts (default: last)")
    add("--retries", type=int, default=0, metavar="N", help="how often to retry a failed trial (default: 0)")
    add(
        "--on-failure",
        choices=("continue", "stop"),
        default="continue",
        help="continue or stop the sweep after a failed trial",
    )


def run(arguments: Namespace) -> int:
    """Sweep, or show one; 1 if no trial came to a value or a finding is an error, 2 if it could not run."""
    from fgc.cli.select import report  # the compiler's stages: 0.15 s
    from fgc.installed import package_folder
    from fgc.workspace import ProjectError

    if package_folder("optuna") is None:
        print("fgc: this needs optuna: pip install 'fgc[sweep]'", file=sys.stderr)
        return 2
    try:
        from fgc.cli.sweeping.command import list_sweeps, show_sweep, start_sweep  # Optuna: 0.8 s

        if arguments.file in ACTIONS:
            action = {"show": show_sweep, "list": list_sweeps}[arguments.file]
            return action(arguments)
        if arguments.study is not None:
            raise CannotRun(f"`{arguments.study}`: only `fgc sweep show` takes a name there; `--name` names a sweep")
        return start_sweep(arguments)
    except CannotRun as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2
    except ProjectError as error:
        report(error.diagnostics)
        return 2
