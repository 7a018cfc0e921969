"""`fgc convert`: checks what can be known without torch, then a runtime process moves the weights.

A package needs the compiler: the process reads the source's configuration, this side makes a template of it and builds
the package, and the process goes on with that.
"""

import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fgc.cli.arguments import CannotRun
from fgc.cli.conversion_tables import (
    FOLDER,
    Table,
    TemplateFolder,
    package_name,
    read_tables,
    table_of,
    template_text,
)
from fgc.cli.model_folders import source_config, target_folder
from fgc.cli.model_packages import package_of
from fgc.cli.projects import chosen_project
from fgc.cli.runtime_process import require_runtime, run_module, wait_for
from fgc.cli.select import report
from fgc.workspace import FileStore, find_project
from fgc.workspace.selection import select_file

_MODULE = "fgc_runtime.convert"
_MERGE = "fgc_runtime.convert.merge"
_TEMPLATE = "model.yaml"


def convert(arguments: Namespace) -> int:
    """Convert, or say what would be; the exit code. Raises CannotRun or ProjectError."""
    if arguments.to is not None and arguments.to.partition(":")[0] == "gguf":
        from fgc.cli.exporting import to_gguf

        return to_gguf(arguments)
    if arguments.dtype == "q8_0" or arguments.gguf_pre is not None:
        raise CannotRun("`--dtype q8_0` and `--gguf-pre` are for `--to gguf`")
    source = Path(arguments.source)
    if arguments.merge:
        return _merge(arguments, source)
    if arguments.base is not None:
        raise CannotRun("`--base` goes with `--merge`")
    if (source / "adapter_config.json").is_file() and not (source / "config.json").is_file():
        raise CannotRun(f"`{source}` contains an adapter: use `fgc convert --merge {source} DST`")
    config = source_config(source)
    is_dry_run = arguments.dry_run or (arguments.explain and arguments.target is None)
    if arguments.target is None and not is_dry_run:
        raise CannotRun("DST is missing: name the folder to write, or use `--dry-run` or `--explain`")
    target = None if arguments.target is None else target_folder(arguments, source)
    is_to_package = not any(source.glob("configuration_*.py"))
    own = _own_templates(arguments)
    tables = _tables(arguments.to, config, source, is_to_package, own)
    name = package_name(arguments.name, (target or source).absolute())
    require_runtime()
    message = {
        "source": str(source),
        "target": str(target) if target is not None else None,
        "tables": tables,
        "is_to_package": is_to_package,
        "name": name,
        "dtype": arguments.dtype,
        "max_shard_bytes": arguments.max_shard_size,
        "is_dry_run": is_dry_run,
        "is_explained": arguments.explain,
        "is_verified": not arguments.no_verify,
        "trust_remote_code": arguments.trust_remote_code,
        "ignore": arguments.ignore,
    }
    return _converse(message, tables[0], name, source, own)


def _merge(arguments: Namespace, source: Path) -> int:
    """An adapter and its base to one model. Raises CannotRun."""
    if not (source / "adapter_config.json").is_file():
        raise CannotRun(f"`{source}` contains no adapter: it has no adapter_config.json")
    words = {name: getattr(arguments, name) for name in ("dry_run", "explain", "templates", "to", "name", "ignore")}
    if useless := [name for name, value in words.items() if value]:
        raise CannotRun(f"`--{useless[0].replace('_', '-')}` has no meaning with `--merge`")
    if arguments.target is None:
        raise CannotRun("DST is missing: name the folder to write")
    message = {
        "adapter": str(source),
        "target": str(target_folder(arguments, source)),
        "base": arguments.base,
        "dtype": arguments.dtype,
        "is_verified": not arguments.no_verify,
        "trust_remote_code": arguments.trust_remote_code,
    }
    return run_module(_MERGE, [json.dumps(message)])


def _own_templates(arguments: Namespace) -> TemplateFolder | None:
    """The folder whose tables count beside the library's: of `--templates`, of `-p`, or of the project around.

    Raises CannotRun or ProjectError.
    """
    if arguments.templates is not None:
        folder = Path(arguments.templates).absolute()
        if not (folder / FOLDER).is_dir():
            raise CannotRun(f"`--templates {arguments.templates}`: there is no folder `{FOLDER}` in it")
        return TemplateFolder(folder, folder)
    if arguments.project is None and find_project(Path.cwd()) is None:
        return None
    project = chosen_project(arguments, FileStore(checks_calls=False))
    found = next((folder for folder in project.searchpath if (folder / FOLDER).is_dir()), None)
    return None if found is None else TemplateFolder(found, project.folder)


def _tables(
    wish: str | None, config: dict[str, Any], source: Path, is_to_package: bool, own: TemplateFolder | None
) -> list[Table]:
    """The architecture of the source, or those that a package may become."""
    tables = read_tables(own)
    if is_to_package:
        if wish is not None:
            raise CannotRun(f"`--to` is for packages of fgc; `{source}` is a {config['model_type']} and becomes one")
        return [table_of(tables, config["model_type"], f"the `model_type` of `{source}`")]
    if wish is not None:
        return [table_of(tables, wish, "`--to`")]
    return list(tables.values())


def _converse(message: dict[str, Any], table: Table, name: str, source: Path, own: TemplateFolder | None) -> int:
    """Start the process, build the package that it asks for, and wait for the end."""
    receiving, sending = os.pipe()
    command = [sys.executable, "-P", "-m", _MODULE, str(sending)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(sending,), text=True)
    os.close(sending)
    assert process.stdin is not None, "it was asked for"
    is_refused = False
    with ExitStack() as stack:
        answers = stack.enter_context(os.fdopen(receiving))
        try:
            _say(process, message)
            question = answers.readline()
            if question:
                package = package_for(stack, table, name, source, json.loads(question), own)
                if package is None:  # it has findings, which were reported
                    process.terminate()
                    is_refused = True
                else:
                    _say(process, package)
        finally:
            process.stdin.close()
            code = wait_for(process)
    return 1 if is_refused else code


def _say(process: "subprocess.Popen[str]", message: dict[str, Any]) -> None:
    assert process.stdin is not None, "it was asked for"
    try:
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended, and said why


def package_for(
    stack: ExitStack,
    table: Table,
    name: str,
    source: Path,
    question: dict[str, Any],
    own: TemplateFolder | None = None,
) -> dict[str, Any] | None:
    """The package of the source's configuration, in a folder that lasts as long as `stack`."""
    parts = {"blocks": question["blocks"], "includes": question["includes"]}
    text = template_text(table, name, source.resolve().name, question["fields"], **parts)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fgc-convert-")))
    (folder / _TEMPLATE).write_text(text, encoding="utf-8")
    include = [] if own is None else [str(own.project), str(own.path)]
    selected = select_file(folder / _TEMPLATE, include, {}, FileStore())
    if selected.has_errors:
        report(selected.diagnostics)
        return None
    package = stack.enter_context(package_of(selected, None))
    return None if package is None else {"package": str(package.folder), "template": text}
