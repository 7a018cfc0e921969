"""Findings in the forms that other tools read: GitHub annotations, SARIF, GitLab code quality."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from fgc.diagnostics.codes import CODES
from fgc.diagnostics.model import Diagnostic, Severity
from fgc.printing import visible
from fgc.text import Span

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Returns workflow commands, which GitHub shows beside the lines of a pull request."""
    return "".join(_github_line(diagnostic) for diagnostic in diagnostics)


def _github_line(diagnostic: Diagnostic) -> str:
    first, last = diagnostic.span.first, diagnostic.span.last
    text = diagnostic.message + (f"\n{diagnostic.help}" if diagnostic.help else "")
    text = visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    file = visible(diagnostic.span.source.display_name).replace(",", "%2C").replace(":", "%3A")
    place = f"file={file},line={first.line},col={first.column},endLine={last.line},endColumn={last.column}"
    return f"::{diagnostic.severity.value} {place},title={diagnostic.code}::{text}\n"


def render_gitlab(diagnostics: Iterable[Diagnostic]) -> str:
    """Returns a code quality report for GitLab."""
    return json.dumps([_gitlab_issue(diagnostic) for diagnostic in diagnostics], indent=2, ensure_ascii=False)


def _gitlab_issue(diagnostic: Diagnostic) -> dict[str, Any]:
    file = diagnostic.span.source.display_name
    identity = f"{diagnostic.code}|{file}|{diagnostic.message}|{diagnostic.span.first.line}"
    return {
        "description": diagnostic.message,
        "check_name": diagnostic.code,
        "fingerprint": hashlib.sha256(identity.encode()).hexdigest(),
        "severity": "major" if diagnostic.severity is Severity.ERROR else "minor",
        "location": {"path": file, "lines": {"begin": diagnostic.span.first.line}},
    }


def render_sarif(diagnostics: Iterable[Diagnostic], version: str) -> str:
    """Returns SARIF 2.1.0, which code scanning services read."""
    found = list(diagnostics)
    rules = [
        {"id": code, "shortDescription": {"text": CODES[code].title if code in CODES else code}}
        for code in sorted({diagnostic.code for diagnostic in found})
    ]
    driver = {"name": "fgc", "version": version, "informationUri": "https://pypi.org/project/fgc/", "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(diagnostic) for diagnostic in found],
    }
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _sarif_result(diagnostic: Diagnostic) -> dict[str, Any]:
    text = diagnostic.message + (f" ({diagnostic.help})" if diagnostic.help else "")
    related = [
        {"id": number, "message": {"text": item.message}, **_sarif_location(item.span)}
        for number, item in enumerate(diagnostic.related)
    ]
    return {
        "ruleId": diagnostic.code,
        "level": diagnostic.severity.value,
        "message": {"text": text},
        "locations": [_sarif_location(diagnostic.span)],
        **({"relatedLocations": related} if related else {}),
    }


def _sarif_location(span: Span) -> dict[str, Any]:
    first, last = span.first, span.last
    region = {
        "startLine": first.line,
        "startColumn": first.column,
        "endLine": last.line,
        "endColumn": last.column,
    }
    return {"physicalLocation": {"artifactLocation": {"uri": span.source.display_name}, "region": region}}
