"""Merges findings of many configurations: each once, with the configurations that have it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from fgc.diagnostics import Diagnostic, Severity
from fgc.lint.suppressions import Suppressions
from fgc.text import Source

Fingerprint = tuple[str, str, str]


class Finding(Struct, eq=False):
    """A diagnostic and the configurations in which it was found."""

    diagnostic: Diagnostic
    configurations: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> Fingerprint:
        """Returns a key that does not depend on line numbers: code, file and message."""
        return self.diagnostic.code, self.diagnostic.span.source.display_name, self.diagnostic.message


class Selection(Struct, frozen=True):
    """The selected codes, by prefix, and their severities; `off` disables a code."""

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    severity: Mapping[str, str] = field(default_factory=dict)

    def apply(self, diagnostic: Diagnostic) -> Diagnostic | None:
        """Returns the diagnostic with its severity, or None if it is disabled. Unreadable files always count."""
        code = diagnostic.code
        if code.startswith("FGC0"):
            return diagnostic
        if self.select and not code.startswith(tuple(self.select)):
            return None
        if self.ignore and code.startswith(tuple(self.ignore)):
            return None
        prefixes = sorted((prefix for prefix in self.severity if code.startswith(prefix)), key=len)
        severity = self.severity[prefixes[-1]] if prefixes else diagnostic.severity.value
        return None if severity == "off" else replace(diagnostic, severity=Severity(severity))


_ENFORCED = "FGC418"  # the checked branch can change all settings except this


class FindingCollector:
    """Collects diagnostics of configurations; `finish` returns the findings to report."""

    def __init__(self, selection: Selection, baseline: Mapping[Fingerprint, int]) -> None:
        self._selection = selection
        self._baseline = Counter(baseline)
        self._suppressions = Suppressions()
        self._findings: dict[tuple[str, str, str, int, int], Finding] = {}

    def add(self, diagnostics: Iterable[Diagnostic], sources: Iterable[Source], configuration: str) -> None:
        """Adds the diagnostics of one configuration; `sources` are all its files."""
        for source in sources:
            self._suppressions.add(source)
        for diagnostic in diagnostics:
            self._suppressions.add(diagnostic.span.source)
            span = diagnostic.span
            key = (diagnostic.code, diagnostic.message, span.source.display_name, span.start, span.end)
            finding = self._findings.setdefault(key, Finding(diagnostic))
            if configuration not in finding.configurations:
                finding.configurations.append(configuration)

    def finish(self) -> list[Finding]:
        """Returns findings that are not silenced, deselected or in the baseline, in order of files and lines."""
        found = _one_at_each_place(self._findings.values())
        enforced = [finding for finding in found if finding.diagnostic.code == _ENFORCED]
        found = [finding for finding in found if finding.diagnostic.code != _ENFORCED]
        kept = [finding for finding in found if not self._suppressions.silences(finding.diagnostic)]
        kept += [Finding(diagnostic) for diagnostic in self._suppressions.unused()]
        chosen = []
        for finding in kept:
            diagnostic = self._selection.apply(finding.diagnostic)
            if diagnostic is None:
                continue
            if self._baseline[finding.fingerprint] > 0:
                self._baseline[finding.fingerprint] -= 1
                continue
            chosen.append(Finding(diagnostic, finding.configurations))
        return sorted([*enforced, *chosen], key=_place)


def _one_at_each_place(findings: Iterable[Finding]) -> list[Finding]:
    """Returns findings with those of one code and place merged, which differ only in values of configurations."""
    groups: dict[tuple[str, str, int, int], list[Finding]] = {}
    for finding in findings:
        span = finding.diagnostic.span
        groups.setdefault((finding.diagnostic.code, span.source.display_name, span.start, span.end), []).append(finding)
    return [finding for group in groups.values() for finding in _joined(group)]


def _joined(group: list[Finding]) -> list[Finding]:
    configurations = [name for finding in group for name in finding.configurations]
    if len(group) == 1 or len(set(configurations)) < len(configurations):
        return group
    first = next((item for item in group if item.diagnostic.severity is Severity.ERROR), group[0])
    return [Finding(first.diagnostic, configurations)]


def _place(finding: Finding) -> tuple[str, int]:
    return finding.diagnostic.span.source.display_name, finding.diagnostic.span.start
