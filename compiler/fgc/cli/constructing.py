"""Targets of a configuration to a module of the runtime that constructs them, in a process of its own."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fgc.cli.runtime_process import run_module
from fgc.cli.select import Selected, report


def run_constructing(
    selected: Selected, names: Sequence[str], module: str, words: Sequence[str], *, action: Sequence[str] = ()
) -> int:
    """Write the program that constructs the targets, and run `module ACTION PROGRAM --function NAME WORDS`.

    It runs in the project's folder; returns its exit code.
    """
    from fgc.pipeline.program import make_module  # the emitter: 0.4 s

    outcome = make_module(selected.compilation.graph, names, selected.surroundings)
    if outcome.value is None:
        report(selected.diagnostics_with(outcome.diagnostics))
        return 1
    folder = Path(tempfile.mkdtemp(prefix="fgc-construct-"))
    try:
        for name, text in {"program.py": outcome.value.text, **outcome.value.files}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        program = [str(folder / "program.py"), "--function", outcome.value.function]
        all_words = [*action, *program, *words]
        return run_module(module, all_words, folder=selected.folder, system_path=selected.system_path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
