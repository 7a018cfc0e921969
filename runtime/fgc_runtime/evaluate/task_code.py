"""Code that tasks of lm-evaluation-harness name in their YAML, and which of it may run.

YAML of tasks reaches Python in three ways. `!function MODULE.NAME` names a file anywhere, or any module that can be
imported. A metric that the harness does not have itself is a script, in a folder or on the Hub. Templates compute: the
harness gives them all of Python, here they run in a sandbox.

What runs is the content that was checked, and not what lies there later, or is compiled beside it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import lm_eval
from jinja2.sandbox import SandboxedEnvironment
from lm_eval import utils as harness_utils
from lm_eval.api import metrics as _  # noqa: F401 -- fills the table of metrics
from lm_eval.api import task as harness_task
from lm_eval.api.registry import metric_registry
from lm_eval.tasks import _yaml_loader as harness_yaml

from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.trust import UntrustedCode, known_code, require_known_code

_HARNESS = Path(str(lm_eval.__file__)).resolve().parent


def sandbox_templates() -> None:
    """Lets templates of tasks compute with texts, numbers and lists, and reach nothing else."""
    own = harness_utils.env
    if not isinstance(own, SandboxedEnvironment):
        sandbox = SandboxedEnvironment(loader=own.loader, undefined=own.undefined, keep_trailing_newline=True)
        sandbox.filters.update(own.filters)
        harness_utils.env = sandbox


@contextmanager
def only_code_that_may_run(is_told: bool | None) -> Iterator[None]:
    """While the body loads tasks, refuses code that may not run: raises UntrustedCode, or EvaluationError.

    `is_told` is what the command line says: `--trust-remote-code`, `--no-trust-remote-code` or neither.
    """
    if is_told:
        yield
        return
    function, metric = harness_yaml._import_func_in_yml, harness_task.get_metric

    modules: dict[Path, ModuleType] = {}

    def checked_function(reference: str, folder: Path) -> Any:
        path = _file_of(reference, folder, is_told)
        if path is None:
            return function(reference, folder)
        if path not in modules:
            modules[path] = _checked_module(path, is_told)
        return getattr(modules[path], reference.rpartition(".")[2])

    def checked_metric(name: str, is_script: bool = False) -> Callable[..., Any] | None:
        if is_script or name not in metric_registry:
            raise _refused(is_told, f"the metric {name} is none of the harness: it would load a script of that name")
        found: Callable[..., Any] | None = metric(name)
        return found

    harness_yaml._import_func_in_yml, harness_task.get_metric = checked_function, checked_metric
    try:
        yield
    finally:
        harness_yaml._import_func_in_yml, harness_task.get_metric = function, metric


def require_task_code(files: list[Path], is_told: bool | None) -> None:
    """Raises UntrustedCode for Python files of tasks that may not run; EvaluationError if the user forbids all."""
    if is_told is False:
        raise EvaluationError(
            f"{files[0].parent} has Python code for tasks, which --no-trust-remote-code keeps from running"
        )
    if not is_told:
        require_known_code(files[0].parent, files)


def _file_of(reference: str, folder: Path, is_told: bool | None) -> Path | None:
    """Returns the file of a function as the harness finds it, below the folder of the YAML file; None for its own code.

    Raises UntrustedCode, or EvaluationError, for a function of a module that lies elsewhere.
    """
    path = (folder / f"{reference.rpartition('.')[0].replace('.', '/')}.py").resolve()
    if folder.resolve().is_relative_to(_HARNESS) and (path.is_relative_to(_HARNESS) or not path.exists()):
        return None
    if not path.exists():
        raise _refused(is_told, f"{folder} names the function {reference}, which is in no file of its own")
    return path


def _checked_module(path: Path, is_told: bool | None) -> ModuleType:
    """Runs a file that may run, under the name that the harness gives it."""
    require_task_code([path], is_told)
    module = ModuleType(str(path.with_suffix("")))
    module.__file__ = str(path)
    code = compile(known_code(path), path, "exec")
    sys.modules[module.__name__] = module  # data classes look their module up
    exec(code, module.__dict__)
    return module


def _refused(is_told: bool | None, reason: str) -> Exception:
    if is_told is False:
        return EvaluationError(f"{reason}; --no-trust-remote-code keeps it from running")
    return UntrustedCode(f"{reason}. It can do all that you can: `--trust-remote-code` runs it this once")
