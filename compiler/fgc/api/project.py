"""A configuration as an object: its text, its graph, and whatever its targets construct."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from fgc.api.execution import construct
from fgc.api.notebook import Highlighted, caption, table
from fgc.diagnostics import Diagnostic, Severity, did_you_mean, render_text
from fgc.ir import Graph, target_kind
from fgc.pipeline.metadata import meta_text
from fgc.workspace import FileStore, ProjectError, find_project, open_project
from fgc.workspace.rules import read_rules
from fgc.workspace.selection import NoSuchFile, Selected, select_config, select_file
from fgc.workspace.settings import SettingsError

if TYPE_CHECKING:
    from fgc.api.templates import TemplateTree
    from fgc.emit import Program


class ConfigurationError(Exception):
    """A configuration that cannot be read or compiled; the text is what `fgc check` prints."""

    def __init__(self, message: str, diagnostics: Iterable[Diagnostic] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


class Project:
    """A compiled configuration.

    `config` is the name of a configuration of the project in or around `project_dir`, or a file; without it, the
    project's default one. All other keywords are template variables, as `fgc -D` sets them. Raises ConfigurationError.

        proj = Project("small.yaml", max_steps=100)
        model_factory, data = proj("model", "train_dataset")
        model = model_factory()

    Each call runs the program that `fgc build` would write, in the project's folder: one call, one set of objects.
    """

    def __init__(self, config: str | Path | None = None, /, project_dir: str | Path = ".", **variables: Any) -> None:
        try:
            self._selected = _select(config, Path(project_dir), variables)
        except (ProjectError, NoSuchFile, SettingsError) as error:
            found = error.diagnostics if isinstance(error, ProjectError) else ()
            raise ConfigurationError(render_text(found).rstrip() or str(error), found) from None
        errors = [found for found in self._selected.diagnostics if found.severity is Severity.ERROR]
        if errors:
            raise ConfigurationError(render_text(errors).rstrip(), errors)

    @overload
    def __call__(self, target: str = "main", /, *, asdict: Literal[False] = False, **variables: Any) -> Any: ...

    @overload
    def __call__(
        self, first: str, second: str, /, *others: str, asdict: Literal[False] = False, **variables: Any
    ) -> tuple[Any, ...]: ...

    @overload
    def __call__(self, /, *targets: str, asdict: Literal[True], **variables: Any) -> dict[str, Any]: ...

    @overload
    def __call__(self, /, *targets: str, asdict: bool = False, **variables: Any) -> Any: ...

    def __call__(self, /, *targets: str, asdict: bool = False, **variables: Any) -> Any:
        """Construct targets: one as it is, several as a tuple, or with `asdict` as a mapping by name.

        Without a name it is `main`. Keywords are the configuration's `!var` variables. What the program raises passes
        through, with a note that names the object and the template's line.
        """
        names = targets or ("main",)
        program = self._program(names)
        result = construct(
            program,
            self._selected.folder,
            variables,
            resolved=str(self.pp_config),
            system_path=self._selected.system_path,
            secrets=self._selected.secrets,
        )
        built = {names[0]: result} if len(set(names)) == 1 else result
        if asdict:
            return {name: built[name] for name in names}
        return built[names[0]] if len(names) == 1 else tuple(built[name] for name in names)

    @property
    def name(self) -> str:
        """The configuration's `config_name`, or the name of its file."""
        return meta_text(self.graph, "config_name") or self._selected.name

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return self._selected.folder

    @property
    def targets(self) -> tuple[str, ...]:
        """Returns what can be constructed, in the order in which it is written."""
        return tuple(self.graph.targets)

    @property
    def graph(self) -> Graph:
        """The graph of objects."""
        return self._selected.compilation.graph

    @property
    def pp_config(self) -> Highlighted:
        """The YAML text that the configuration becomes, as `fgc pp` prints it."""
        return Highlighted(self._selected.compilation.document.text, "yaml")

    @property
    def templates(self) -> "TemplateTree":
        """The templates that the configuration draws on, as `fgc trefs` shows them; a notebook draws them."""
        from fgc.api.templates import TemplateTree

        return TemplateTree(self._selected)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Warnings; a configuration with errors is none."""
        return self._selected.diagnostics

    def code(self, *targets: str) -> Highlighted:
        """The program that constructs targets, as Python."""
        return Highlighted(self._program(targets or ("main",)).text, "python")

    def __repr__(self) -> str:
        return f"<Project {self.name!r}: {self._selected.name} in {self.folder}>"

    def _repr_html_(self) -> str:
        about = meta_text(self.graph, "config_description")
        rows = [(name, target_kind(self.graph[node])) for name, node in self.graph.targets.items()]
        place = f"{self.folder}: {self._selected.name}"
        return caption(self.name, about, place) + table(("target", "what it is"), rows)

    def _program(self, targets: tuple[str, ...]) -> "Program":
        from fgc.pipeline.program import make_module  # the emitter: 0.4 s

        for name in targets:
            if name not in self.graph.targets:
                help = did_you_mean(name, self.targets) or f"the targets are: {', '.join(self.targets)}"
                raise ConfigurationError(f"`{self._selected.name}` has no target `{name}`; {help}")
        outcome = make_module(self.graph, targets, self._selected.surroundings)
        if outcome.value is None:
            raise ConfigurationError(render_text(outcome.diagnostics).rstrip(), outcome.diagnostics)
        return outcome.value


@overload
def from_project(
    project_dir: str | Path, config: str | Path | None = None, targets: str = "main", **variables: Any
) -> Any: ...


@overload
def from_project(
    project_dir: str | Path, config: str | Path | None = None, *, targets: list[str] | tuple[str, ...], **variables: Any
) -> dict[str, Any]: ...


@overload
def from_project(
    project_dir: str | Path, config: str | Path | None, targets: list[str] | tuple[str, ...], **variables: Any
) -> dict[str, Any]: ...


def from_project(
    project_dir: str | Path,
    config: str | Path | None = None,
    targets: str | list[str] | tuple[str, ...] = "main",
    **variables: Any,
) -> Any:
    """Construct targets of another project's configuration: one by its name, several as a mapping by name.

    `project_dir` is a folder in the project; without `config` it is the project's default configuration. All other
    keywords are template variables. The objects are its own: each call makes a new set. A configuration says the same
    with `!meta:fgc:from_project`. Raises ConfigurationError.

        tokenizer = from_project("../tokenizers", "small.yaml", "tokenizer", vocab_size=4096)
    """
    project = Project(config, project_dir=project_dir, **variables)
    return project(targets) if isinstance(targets, str) else project(*targets, asdict=True)


def _select(config: str | Path | None, folder: Path, variables: dict[str, Any]) -> Selected:
    """A file that is there as it is, else a configuration's name."""
    store = FileStore()
    store.rules = read_rules(Path.cwd(), store.questions)
    file = folder / config if config is not None else None
    if file is not None and file.is_file():
        return select_file(file, (), variables, store)
    found = find_project(folder.resolve())
    if found is None:
        if config is not None:
            raise NoSuchFile(f"there is no file `{file}`, and `{folder.resolve()}` is not in a project")
        raise NoSuchFile(f"`{folder.resolve()}` is not in a project: name a file, or give `project_dir`")
    return select_config(open_project(found, store), str(config) if config is not None else None, variables)
