"""A baseline: the findings that a tree has today, so that only new ones count tomorrow."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from fgc.lint.findings import Finding, Fingerprint


def baseline_text(findings: Iterable[Finding]) -> str:
    """Findings as a file to commit: code, file, message and how often, without line numbers."""
    counts = Counter(finding.fingerprint for finding in findings)
    entries = [
        {"code": code, "file": file, "message": message, "count": count}
        for (code, file, message), count in sorted(counts.items())
    ]
    return json.dumps({"version": 1, "findings": entries}, indent=2, ensure_ascii=False) + "\n"


def read_baseline(text: str) -> Mapping[Fingerprint, int]:
    """The findings of a baseline file. Raises ValueError if it is none."""
    try:
        entries = json.loads(text)["findings"]
        return {(entry["code"], entry["file"], entry["message"]): int(entry["count"]) for entry in entries}
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a baseline file: {error!r}") from None
