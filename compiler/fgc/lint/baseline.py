"""Baselines: the findings that a tree already has, so that only new ones are reported."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from fgc.lint.findings import Finding, Fingerprint


def baseline_text(findings: Iterable[Finding]) -> str:
    """Returns the text of a baseline file: code, file, message and count of findings, without line numbers."""
    counts = Counter(finding.fingerprint for finding in findings)
    entries = [
        {"code": code, "file": file, "message": message, "count": count}
        for (code, file, message), count in sorted(counts.items())
    ]
    return json.dumps({"version": 1, "findings": entries}, indent=2, ensure_ascii=False) + "\n"


def read_baseline(text: str) -> Mapping[Fingerprint, int]:
    """Returns the findings of a baseline file. Raises ValueError if it is not one."""
    try:
        entries = json.loads(text)["findings"]
        return {(entry["code"], entry["file"], entry["message"]): int(entry["count"]) for entry in entries}
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a baseline file: {error!r}") from None
