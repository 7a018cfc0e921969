"""Create a workspace, or a project in one.

A workspace is a folder that contains a folder `forgather_workspace`; the projects below it share what is defined there.
Existing files are never overwritten. Pass a name that begins with a dash as `--name=-NAME`.
"""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fgc.cli.arguments import CannotRun

EXAMPLES = (
    "fgc ws init                                     the current folder, called by its name",
    "fgc ws init --name 'My experiments'",
    "fgc ws init --name Old --forgather-dir ../forgather    with its library instead of fgc's",
    "fgc ws init --name Shared ../templates          more template folders for all projects",
    "fgc ws project --name 'First try'               then: cd first_try && fgc train",
    "fgc ws project --name B --default-config small.yaml projects/b",
)
WORKSPACE_FOLDER = "forgather_workspace"
USES_A_PROJECT = False


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc ws`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    init = actions.add_parser("init", help="make the current folder a workspace")
    init.add_argument("--name", help="name of the workspace (default: the folder's name)")
    init.add_argument("--description", metavar="TEXT", default="", help="description of the workspace")
    init.add_argument(
        "--forgather-dir",
        metavar="DIR",
        help="a checkout of Forgather: its `templatelib/*`, if it exists, is the library of all projects",
    )
    init.add_argument("--no-defaults", action="store_true", help="search only PATHs and the template library")
    init.add_argument("paths", nargs="*", metavar="PATH", help="template folders for all projects")
    project = actions.add_parser("project", help="create a project that is ready to train")
    project.add_argument("--name", required=True, help="name of the project")
    project.add_argument("--description", metavar="TEXT", default="", help="description of the project")
    project.add_argument(
        "--config-prefix",
        default="configs",
        metavar="FOLDER",
        help="folder of the configurations, below templates/ (default: configs)",
    )
    project.add_argument(
        "--default-config",
        default="default.yaml",
        metavar="FILE",
        help="the first configuration (default: default.yaml)",
    )
    project.add_argument("directory", nargs="?", metavar="DIRECTORY", help="folder to create (default: from the name)")


def run(arguments: Namespace) -> int:
    """Make it; 2 if it cannot be made, and then nothing has changed."""
    from fgc.workspace.create import CreateError  # the compiler's stages: 0.15 s

    if arguments.name is None:
        arguments.name = Path.cwd().name or "workspace"
    try:
        for text in (arguments.name, arguments.description):
            if not text.isprintable():
                raise CannotRun(f"a name or description is one line of text, not {text!r}")
        if not arguments.name.strip():
            raise CannotRun("a name must not be empty")
        return _init(arguments) if arguments.action == "init" else _project(arguments)
    except (CannotRun, CreateError) as problem:
        print(f"fgc: {problem}", file=sys.stderr)
        return 2


def _init(arguments: Namespace) -> int:
    from fgc.workspace.create import create_folder
    from fgc.workspace.starter import template_text, workspace_files

    root = Path.cwd()
    base = Path(arguments.forgather_dir) if arguments.forgather_dir else None
    folders = [Path(path) for path in arguments.paths]
    if base is not None and not arguments.no_defaults:
        folders += _library_folders(base)
    for folder in [*folders, *([base] if base is not None else [])]:
        if not folder.is_dir():
            raise CannotRun(f"there is no folder `{folder}`")
    common = [_folder_expression(folder.resolve(), root) for folder in folders]
    shared = None if base is None else _folder_expression(base.resolve(), root)
    own = [f"joinpath(workspace_root, {template_text(WORKSPACE_FOLDER)})"] if shared else []
    files = workspace_files(arguments.name, arguments.description, [*own, *common], shared)
    create_folder(root / WORKSPACE_FOLDER, files)
    print(f"made {WORKSPACE_FOLDER}/\nnext:  fgc ws project --name NAME")
    return 0


def _library_folders(base: Path) -> list[Path]:
    """The template folders of a shared checkout; none where it has no library, and ours serves."""
    from fgc.workspace.library import roots_of_libraries

    folders = sorted(path for path in (base / "templatelib").glob("*") if path.is_dir())
    return folders or ([base] if any(root.is_file() for root in roots_of_libraries([base])) else [])


def _folder_expression(folder: Path, root: Path) -> str:
    """A folder as templates write it: relative to the workspace where it lies in it."""
    from fgc.workspace.starter import template_text

    if folder == root:
        return "workspace_root"
    if folder.is_relative_to(root):
        return f"joinpath(workspace_root, {template_text(folder.relative_to(root).as_posix())})"
    return template_text(str(folder))


def _project(arguments: Namespace) -> int:
    from fgc.workspace import display_path
    from fgc.workspace.create import create_folder, folder_name
    from fgc.workspace.starter import NewProject, plain_configuration, project_files

    folder = Path(arguments.directory or folder_name(arguments.name)).absolute()
    workspace = next((above for above in folder.parents if (above / WORKSPACE_FOLDER).is_dir()), None)
    if workspace is None:
        raise CannotRun(f"`{folder.parent}` is in no workspace; create one: `fgc ws init`")
    default = arguments.default_config
    default += "" if default.endswith(".yaml") else ".yaml"
    for path in (default, arguments.config_prefix):
        parts = Path(path).parts
        if Path(path).is_absolute() or not parts or not path.isprintable():
            raise CannotRun(f"`{path}` must be a path below the project's templates")
        if any(part.startswith(".") for part in parts):  # `..` too
            raise CannotRun(f"`{path}`: hidden files and folders, and `..`, hold no configurations")
    has_defaults = (workspace / WORKSPACE_FOLDER / "meta_defaults.yaml").is_file()
    new = NewProject(arguments.name, arguments.description, arguments.config_prefix, default, has_defaults)
    create_folder(folder, files := project_files(new))
    if _has_own_library(folder):
        path = folder / "templates" / new.config_prefix / new.default_config
        path.write_text(plain_configuration(new), encoding="utf-8")
    shown = display_path(folder)
    print(f"made {shown}/")
    words = shlex.quote(f"./{shown}" if shown.startswith("-") else shown)
    print("".join(f"  {name}\n" for name in files) + f"next:  cd {words} && fgc train")
    return 0


def _has_own_library(folder: Path) -> bool:
    """Returns True if the workspace of a new project has a library that lacks what the first configuration extends."""
    from fgc.workspace import ProjectError, open_project

    try:
        project = open_project(folder)
    except ProjectError:
        return False  # `fgc check` tells what is wrong with the workspace
    start = "types/training_script/causal_lm/causal_lm.yaml"
    return project.library is None and not any((path / start).is_file() for path in project.searchpath)
