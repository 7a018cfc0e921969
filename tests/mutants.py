"""Changes code by one token at a time and lists the changes that no test notices: `python tests/mutants.py --help`.

Cosmic Ray makes and runs the mutants, in a clone of the last commit, so the files at hand are never touched.
"""

import argparse
import os
import random
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).parents[1]
SOURCES = {"compiler": "compiler", "runtime": "runtime", "modelsrc": "models"}  # and where the tests of each lie
# what only types, messages to people or the look of a program depend on, or what is the same program
_SAME = ("core/ReplaceBinaryOperator_BitOr_", "core/RemoveDecorator", "core/ExceptionReplacer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where a mutant survived."""
    options = _parser().parse_args(arguments)
    modules = options.modules or [Path(name) for name in _changed(options.since)]
    killed = survivors = 0
    with tempfile.TemporaryDirectory(prefix="fgc-mutants-") as folder:
        clone = Path(folder) / "fgc"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        for module in modules:
            tests = options.tests or tests_of(module)
            print(f"{module}  by {' '.join(map(str, tests))}", flush=True)
            session = _made(clone, module, tests, options)
            _run(clone, "cosmic-ray", "exec", "mutants.toml", session.name)
            with use_db(session, WorkDB.Mode.open) as work:
                done = [
                    found for _, found in work.completed_work_items if found.worker_outcome != WorkerOutcome.SKIPPED
                ]
            left = [found for found in done if found.test_outcome == TestOutcome.SURVIVED]
            for found in left:
                print(found.diff, flush=True)
            killed, survivors = killed + len(done) - len(left), survivors + len(left)
    print(f"{killed} of {killed + survivors} mutants noticed")
    return 1 if survivors else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tests/mutants.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  make mutants                                     of the files that the last commit changed\n"
        "  make mutants MUTANTS='--since v0.2.0'            of the files changed since then\n"
        "  make mutants MUTANTS='compiler/fgc/passes/fold.py --most 100'",
    )
    parser.add_argument("modules", nargs="*", type=Path, help="the files to change, instead of those that changed")
    parser.add_argument("--since", default="HEAD~1", help="a commit; default: %(default)s")
    parser.add_argument("--tests", nargs="+", help="what must notice; default: the tests of the file's package")
    parser.add_argument("--most", type=int, default=20, help="mutants a file, drawn at random; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the draw; default: %(default)s")
    parser.add_argument("--timeout", type=float, default=300, help="seconds a mutant; default: %(default)s")
    return parser


def _changed(since: str) -> list[str]:
    """Returns the source files that changed, without those that only import."""
    command = ["git", "diff", "--name-only", "--diff-filter=d", since, "--", *SOURCES]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return [name for name in names if name.endswith(".py") and not name.endswith("__init__.py")]


def tests_of(module: Path) -> list[Path]:
    """Returns the tests of a source file: its package's folder, files that name the module, and cases of the language.

    Raises ValueError for a file of no package.
    """
    parts = module.with_suffix("").parts
    if len(parts) < 3 or parts[0] not in SOURCES:
        raise ValueError(f"{module} is in none of {', '.join(SOURCES)}")
    dotted = ".".join(parts[1:])
    folder = Path("tests", SOURCES[parts[0]], parts[2])
    named = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if dotted in path.read_text(encoding="utf-8")]
    found = [folder] if (ROOT / folder).is_dir() else []
    found += [path.relative_to(ROOT) for path in named if ROOT / folder not in path.parents]
    found += [Path("tests/corpus"), Path("tests/test_conformance.py")] if parts[0] == "compiler" else []
    return found or [folder.parent]


def _made(clone: Path, module: Path, tests: Iterable[object], options: argparse.Namespace) -> Path:
    """Returns a session of Cosmic Ray with mutants of a file, most of them skipped."""
    pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *map(str, tests)]
    (clone / "mutants.toml").write_text(
        f'[cosmic-ray]\nmodule-path = "{module}"\ntimeout = {options.timeout}\nexcluded-modules = []\n'
        f"test-command = {shlex.join(pytest)!r}\n"
        '[cosmic-ray.distributor]\nname = "local"\n'
    )
    session = clone / "mutants.sqlite"
    session.unlink(missing_ok=True)
    _run(clone, "cosmic-ray", "init", "mutants.toml", session.name)
    _run(clone, "cosmic-ray", "baseline", "mutants.toml")
    with use_db(session, WorkDB.Mode.open) as work:
        items = list(work.pending_work_items)
        wanted = [item for item in items if not item.mutations[0].operator_name.startswith(_SAME)]
        drawn = random.Random(options.seed).sample(wanted, min(options.most, len(wanted)))
        skipped = {item.job_id for item in items} - {item.job_id for item in drawn}
        work.set_multiple_results(sorted(skipped), WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
    return session


def _run(clone: Path, name: str, *arguments: str) -> None:
    """Runs a command of Cosmic Ray on the clone's packages instead of the installed ones."""
    paths = os.pathsep.join(str(clone / folder) for folder in (*SOURCES, "stdlib"))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(main())
