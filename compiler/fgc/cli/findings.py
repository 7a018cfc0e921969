"""The findings of `fgc check` as what it prints."""

from collections.abc import Sequence

from fgc import __version__
from fgc.cli.checking import CheckResult
from fgc.cli.memo import PrintedAnswer
from fgc.cli.unchecked import coverage_data, coverage_words, unchecked_lines
from fgc.diagnostics import Severity, render_json, render_text, summary
from fgc.lint.findings import Finding

_MAX_NAMES = 3  # configurations named beside a finding


def findings_answer(
    result: CheckResult, form: str, fail_on: str, has_color: bool, *, reports_unchecked: bool = False
) -> PrintedAnswer:
    """Text goes to standard error, what machines read to standard output, as does the list of unchecked calls."""
    levels = {finding.diagnostic.severity for finding in result.findings}
    failing = {Severity.ERROR} if fail_on == "error" else set(Severity)
    code = 2 if result.could_not_run else int(bool(levels & failing))
    if form != "text":
        text = _machine_text(result, form)
        return PrintedAnswer(text if text.endswith("\n") or not text else text + "\n", "", code)
    count = result.num_configurations
    checked = f"{count} configuration{'s' if count != 1 else ''} checked"
    calls = coverage_words(result.coverage)
    listed = unchecked_lines(result.coverage) if reports_unchecked else ""
    if not result.findings:
        return PrintedAnswer(f"{listed}{checked}, no findings{calls}\n", "", code)
    found = [finding.diagnostic for finding in result.findings]
    shown = "".join(_finding(finding, has_color) for finding in result.findings)
    return PrintedAnswer(listed, f"{shown}{checked}: {summary(found)}{calls}\n", code)


def _machine_text(result: CheckResult, form: str) -> str:
    from fgc.diagnostics.formats import render_github, render_gitlab, render_sarif

    findings: Sequence[Finding] = result.findings
    diagnostics = [finding.diagnostic for finding in findings]
    if form == "json":
        found = [(finding.diagnostic, finding.configurations) for finding in findings]
        return render_json(found, calls=coverage_data(result.coverage))
    if form == "sarif":
        return render_sarif(diagnostics, __version__)
    return render_github(diagnostics) if form == "github" else render_gitlab(diagnostics)


def _finding(finding: Finding, has_color: bool) -> str:
    text = render_text([finding.diagnostic], use_color=has_color)
    count = len(finding.configurations)
    if count > 1:
        names = ", ".join(finding.configurations[:_MAX_NAMES])
        text += f"  in {count} configurations, such as {names}\n" if count > _MAX_NAMES else f"  in {names}\n"
    return text + "\n"
