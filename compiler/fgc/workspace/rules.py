"""Which findings count, for whoever reports any: settings, a baseline, and comments in the templates."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Severity, has_errors, unique
from fgc.lint.baseline import read_baseline
from fgc.lint.findings import FindingCollector, Fingerprint, Selection
from fgc.pipeline import Compilation
from fgc.questions import Questions
from fgc.reading import read_text
from fgc.workspace.settings import SettingsError, read_settings

_STAYS = (
    "it is silenced, but because of it a part of the program is missing, and nothing can be built without that part"
)


class Rules(Struct, frozen=True):
    """The settings of `[tool.fgc.check]`, and the findings that its baseline lists."""

    selection: Selection = Selection()
    baseline: Mapping[Fingerprint, int] = field(default_factory=dict)

    def apply(self, found: Iterable[Diagnostic], compilation: Compilation) -> tuple[Diagnostic, ...]:
        """Returns what is to be said about one configuration, in the order of files and lines.

        An error that keeps a part of the graph from being made stays even if it is silenced, unless another is told.
        """
        everything = unique(found)
        collector = FindingCollector(self.selection, self.baseline)
        collector.add(everything, compilation.sources, "")
        # a comment that silences nothing here may be of use in another configuration, which only `check` sees
        told = tuple(found.diagnostic for found in collector.finish() if found.diagnostic.code != "FGC701")
        if compilation.is_whole or has_errors(told):
            return told
        return (*told, *(replace(one, help=_STAYS) for one in everything if one.severity is Severity.ERROR))


def read_rules(start: Path, questions: Questions) -> Rules:
    """Returns the rules that hold in a folder. Raises SettingsError."""
    settings = read_settings(start, questions)
    selection = Selection(settings.select, settings.ignore, settings.severity)
    return Rules(selection, read_baseline_of(settings.baseline, questions))


def read_baseline_of(file: Path | None, questions: Questions) -> Mapping[Fingerprint, int]:
    """Returns the findings that a baseline lists; none without one. Raises SettingsError."""
    if file is None:
        return {}
    questions.saw(file)
    try:
        return read_baseline(read_text(file))
    except (OSError, ValueError) as error:
        raise SettingsError(f"baseline {file}: {error}") from None
