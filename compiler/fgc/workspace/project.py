"""Projects on disk: a folder with `meta.yaml`, its workspace, its search path and its configurations."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Severity, did_you_mean, has_errors
from fgc.ir import DictNode, Graph, ListNode, Literal, NodeId
from fgc.pipeline import Compilation
from fgc.questions import Questions
from fgc.text import Source, Span
from fgc.workspace.clock import moving_texts
from fgc.workspace.facts import collect_facts
from fgc.workspace.files import display_path
from fgc.workspace.library import roots_of_libraries, template_library, user_templates
from fgc.workspace.session import Session
from fgc.workspace.store import FileStore

WORKSPACE_FOLDER = "forgather_workspace"
META_FILE = "meta.yaml"
META_KEYS = ("searchdir", "config_prefix", "default_config", "name", "description", "system_path")
_NAMING_KEYS = {"searchdir", "config_prefix", "default_config", "system_path"}


class ProjectError(Exception):
    """A project that cannot be read; carries the findings that say why."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(diagnostic.message for diagnostic in self.diagnostics))


class Setting(Struct, frozen=True):
    """A text under a key of a `meta.yaml`, or one of a list, and where it is written."""

    key: str
    text: str
    span: Span

    @property
    def is_literal(self) -> bool:
        """Returns True if the text stands there as it is, not computed by an expression."""
        return self.span.text.strip("\"'") == self.text


class ProjectDescription(Struct, frozen=True):
    """A project as its `meta.yaml` describes it. `configurations` maps names to files, in order.

    `settings` are the texts that name files and folders. `library` is the template library; None where the workspace
    has one of its own: the two are never mixed.

    `sources` and `missing`: what the description was read from, and what was looked for before it was found.
    """

    folder: Path
    workspace: Path
    name: str
    description: str | None
    searchpath: tuple[Path, ...]
    config_prefix: str
    default_config: str | None
    system_path: str | None
    configurations: Mapping[str, Path]
    diagnostics: tuple[Diagnostic, ...]
    store: FileStore
    sources: Mapping[Path, Source] = field(default_factory=dict)
    missing: Mapping[Path, Path | None] = field(default_factory=dict)
    library: Path | None = None
    settings: tuple[Setting, ...] = ()

    @property
    def description_folders(self) -> list[Path]:
        """Returns where `meta.yaml` finds the templates that it names."""
        return description_folders(self.folder, self.workspace)

    @property
    def template_folders(self) -> list[Path]:
        """Returns the search path with the template library, which comes last."""
        return [*self.searchpath, *([self.library] if self.library else [])]

    def session(self, chain: tuple[Path, ...] = ()) -> Session:
        """Templates of this project: its own folders, then the template library. `chain` takes objects from it."""
        return Session(self.template_folders, self.store, chain, self.folder, self.system_path)

    def resolve_name(self, config: str | None) -> str:
        """The full name of a configuration, or of the default one. Raises ProjectError for an unknown name."""
        name = config or self.default_config
        if name is None:
            place = (
                f"{display_path(self.searchpath[0])}/{self.config_prefix}" if self.searchpath else self.config_prefix
            )
            missing = f"project `{self.name}` has no configuration"
            raise ProjectError([self._finding("FGC002", missing, f"write one: `{place}/NAME.yaml`")])
        path = self.configurations.get(name) or self.configurations.get(f"{name}.yaml")
        if path is None:
            help = did_you_mean(name if name.endswith(".yaml") else f"{name}.yaml", self.configurations)
            help = help or f"it has: {', '.join(self.configurations) or 'none'}"
            raise ProjectError([self._finding("FGC002", f"project `{self.name}` has no configuration `{name}`", help)])
        return name if name in self.configurations else f"{name}.yaml"

    def compile(
        self,
        config: str | None,
        variables: Mapping[str, Any],
        session: Session | None = None,
        *,
        is_for_list: bool = False,
    ) -> Compilation:
        """Compile a configuration by name, or the default one. Raises ProjectError for an unknown name.

        `is_for_list`: leave out findings about a graph that is whole.
        """
        name = self.resolve_name(config)
        facts = collect_facts(self.folder, self.workspace)
        session = session or self.session()
        path, name = self.configurations[name], f"{self.config_prefix}/{name}"
        return session.compile(path, name, variables, facts, is_for_list=is_for_list)

    def _finding(self, code: str, message: str, help: str | None = None) -> Diagnostic:
        return _at_file(self.folder / META_FILE, code, message, help)


def find_project(start: Path, questions: Questions | None = None) -> Path | None:
    """The nearest folder with a `meta.yaml`, from a folder upwards."""
    for folder in (start, *start.parents):
        if (folder / META_FILE).is_file():
            return folder
        if questions is not None:
            questions.saw(folder / META_FILE)
    return None


def open_project(folder: Path, store: FileStore | None = None) -> ProjectDescription:
    """Read a project, once in a run. Raises ProjectError where there is none, or where its `meta.yaml` has errors.

    The description is the same for all stores; what a store sets, checks and counts is its own.
    """
    folder = folder.resolve()
    meta_file = folder / META_FILE
    if not meta_file.is_file():
        help = "a project is a folder with a `meta.yaml`; `-p FOLDER` names another folder"
        raise ProjectError([_at_file(meta_file, "FGC005", f"`{display_path(folder)}` contains no `{META_FILE}`", help)])
    known = store or FileStore()
    question = ("project", folder, known.checks_calls)
    return replace(known.questions.ask(question, lambda: _open(folder, meta_file, known)), store=known)


def _open(folder: Path, meta_file: Path, store: FileStore) -> ProjectDescription:
    workspace = next((at for at in (folder, *folder.parents) if _is_workspace(at, store)), None)
    if workspace is None:
        message = f"neither `{display_path(folder)}` nor a folder above it contains a folder `{WORKSPACE_FOLDER}`"
        raise ProjectError([_at_file(meta_file, "FGC005", message, "create one: `fgc ws init`")])
    return _read_meta(folder, workspace, meta_file, store)


def _is_workspace(folder: Path, store: FileStore) -> bool:
    store.questions.saw(folder / WORKSPACE_FOLDER)
    return (folder / WORKSPACE_FOLDER).is_dir()


def _read_meta(folder: Path, workspace: Path, meta_file: Path, store: FileStore) -> ProjectDescription:
    library = template_library()
    facts = collect_facts(folder, workspace)
    if not user_templates().is_dir():
        store.questions.saw(user_templates())
    session = Session(description_folders(folder, workspace), store)
    compilation = session.compile(
        meta_file, META_FILE, {}, facts, is_for_list=not store.checks_calls, is_description=True
    )
    if moving_texts(compilation):
        store.questions.changes_by_itself()
    if has_errors(compilation.diagnostics):
        raise ProjectError(compilation.diagnostics)
    found = list(compilation.diagnostics)
    found += _unknown_keys(compilation.graph)
    meta = {name: _plain(compilation.graph, node) for name, node in compilation.graph.targets.items()}
    searchdir = meta.get("searchdir", "templates")
    folders = [searchdir] if isinstance(searchdir, str) else list(searchdir or [])
    searchpath = tuple(folder / str(item) for item in folders)
    prefix = str(meta.get("config_prefix", "configs"))
    configurations, problems = _configurations(searchpath, prefix, store)
    found += problems
    found += _missing_default(compilation.graph, meta.get("default_config"), configurations)
    system_path = meta.get("system_path")
    return ProjectDescription(
        folder=folder,
        workspace=workspace,
        name=str(meta.get("name", folder.name)),
        description=meta.get("description"),
        searchpath=searchpath,
        config_prefix=prefix,
        default_config=meta.get("default_config") or next(iter(configurations), None),
        system_path=str(folder / system_path) if system_path else None,
        configurations=configurations,
        diagnostics=tuple(found),
        store=store,
        sources=session.sources,
        missing={**_other_workspaces(folder, workspace), **session.missing},
        library=None if _has_own_library(searchpath, folder, store) else library,
        settings=tuple(_settings(compilation.graph)),
    )


def description_folders(folder: Path, workspace: Path) -> list[Path]:
    """Returns the search path of a `meta.yaml`: its project, its workspace, the user's templates, the library."""
    library = template_library()
    own = [user_templates()] if user_templates().is_dir() else []
    return [folder, workspace / WORKSPACE_FOLDER, *own, *([library] if library else [])]


def _settings(graph: Graph) -> Iterable[Setting]:
    for key in _NAMING_KEYS & graph.targets.keys():
        node = graph[graph.targets[key]]
        for item in node.items if isinstance(node, ListNode) else [graph.targets[key]]:
            text = _plain(graph, item)
            if isinstance(text, str):
                yield Setting(key, text, graph[item].origin.span)


def _has_own_library(searchpath: Iterable[Path], project: Path, store: FileStore) -> bool:
    """Returns True if the workspace names a library; a template in the project itself makes none."""
    shared = [folder for folder in searchpath if not folder.is_relative_to(project)]
    roots = roots_of_libraries(shared)
    for root in roots:
        if root.is_file():
            store.questions.saw_folder(root.parent)  # that it is there counts, not what it holds
        else:
            store.questions.saw(root)
    return any(root.is_file() for root in roots)


def _other_workspaces(folder: Path, workspace: Path) -> dict[Path, Path | None]:
    """Folders that would make another workspace the nearest one."""
    nearer = [at for at in (folder, *folder.parents) if at.is_relative_to(workspace) and at != workspace]
    return {at / WORKSPACE_FOLDER: workspace / WORKSPACE_FOLDER for at in nearer}


def _unknown_keys(graph: Graph) -> Iterable[Diagnostic]:
    for name, origin in graph.target_origins.items():
        if name not in META_KEYS:
            help = did_you_mean(name, META_KEYS)
            message = f"`{META_FILE}` has no key `{name}`"
            yield Diagnostic.at(origin, "FGC005", message, severity=Severity.WARNING, help=help)


def _missing_default(graph: Graph, name: object, configurations: Iterable[str]) -> Iterable[Diagnostic]:
    known = list(configurations)
    if name is not None and name not in known and f"{name}.yaml" not in known:
        origin = graph[graph.targets["default_config"]].origin
        help = did_you_mean(str(name), known) or f"there are: {', '.join(known) or 'none'}"
        message = f"the default configuration `{name}` does not exist"
        yield Diagnostic.at(origin, "FGC002", message, severity=Severity.WARNING, help=help)


def _configurations(
    searchpath: Iterable[Path], prefix: str, store: FileStore
) -> tuple[dict[str, Path], list[Diagnostic]]:
    """Every configuration by name, sorted; a later one of a name is shadowed. A folder that is unreadable is told."""
    found: dict[str, Path] = {}
    problems: list[Diagnostic] = []
    unreadable: list[Path] = []
    for folder in searchpath:
        root = folder / prefix
        listed = store.walk(
            root, lambda name: not name.startswith("."), lambda at: unreadable.append(Path(at.filename))
        )
        for path in sorted(at / name for at, names in listed for name in names if name.endswith(".yaml")):
            name = str(path.relative_to(root))
            if name in found:
                message = f"configuration `{name}` is shadowed by `{display_path(found[name])}`"
                problems.append(_at_file(path, "FGC002", message, None, Severity.WARNING))
            else:
                found[name] = path
    for folder in unreadable:
        if folder.is_dir():
            message = f"`{display_path(folder)}` cannot be read: its configurations are missing"
            problems.append(_at_file(folder, "FGC001", message, None, Severity.WARNING))
    return dict(sorted(found.items())), problems


def _plain(graph: Graph, node_id: NodeId) -> Any:
    """A node of a `meta.yaml` as a plain value."""
    node = graph[node_id]
    match node:
        case Literal():
            return node.value
        case ListNode():
            return [_plain(graph, item) for item in node.items]
        case DictNode():
            return {entry.key: _plain(graph, entry.value) for entry in node.entries}
        case _:
            return getattr(node, "text", None)


def _at_file(
    path: Path, code: str, message: str, help: str | None = None, severity: Severity = Severity.ERROR
) -> Diagnostic:
    source = Source(path.name, "", display_path(path))
    return Diagnostic(code, message, Span(source, 0, 0), severity, help)
