"""Settings of `fgc check` in the nearest pyproject.toml: `[tool.fgc.check]`."""

from pathlib import Path
from typing import Any

from msgspec import Struct, field

from fgc.diagnostics import did_you_mean
from fgc.questions import Questions
from fgc.reading import read_text

_KEYS = ("select", "ignore", "severity", "baseline")
_SEVERITIES = ("error", "warning", "off")


class SettingsError(Exception):
    """A setting that means nothing; the text says which and where."""


class CheckSettings(Struct, frozen=True):
    """Which findings count, and which callables configurations may name (None: all).

    Codes may be shortened: `FGC3` is every finding of YAML. An empty `select` is all.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: dict[str, str] = field(default_factory=dict)
    baseline: Path | None = None
    allow: tuple[str, ...] | None = None


def read_settings(start: Path, questions: Questions) -> CheckSettings:
    """The settings that hold for a folder. Raises SettingsError."""
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        questions.saw(file)
        if file.is_file():
            return _settings(file)
    return CheckSettings()


def _settings(file: Path) -> CheckSettings:
    import tomllib  # 6 ms; most folders of configurations have no settings

    try:
        own = tomllib.loads(read_text(file)).get("tool", {}).get("fgc", {})
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: {error}") from None
    if not isinstance(own, dict) or not isinstance(table := own.get("check", {}), dict):
        raise SettingsError(f"{file}: `[tool.fgc]` and `[tool.fgc.check]` must be tables")
    for key in table:
        if key not in _KEYS:
            raise SettingsError(
                f"{file}: [tool.fgc.check] has no `{key}`; {did_you_mean(key, _KEYS) or ''}".rstrip("; ")
            )
    baseline = table.get("baseline")
    return CheckSettings(
        select=_codes(file, table, "select"),
        ignore=_codes(file, table, "ignore"),
        severity=_severities(file, table.get("severity", {})),
        baseline=file.parent / baseline if baseline else None,
        allow=_allowed(file, own),
    )


def _allowed(file: Path, table: dict[str, Any]) -> tuple[str, ...] | None:
    patterns = table.get("allow")
    if patterns is None:
        return None
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise SettingsError(f"{file}: `allow` must be a list of names and patterns such as 'torch.*'")
    return tuple(patterns)


def _codes(file: Path, table: dict[str, Any], key: str) -> tuple[str, ...]:
    codes = table.get(key, [])
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise SettingsError(f"{file}: `{key}` must be a list of codes")
    return tuple(codes)


def _severities(file: Path, table: Any) -> dict[str, str]:
    if not isinstance(table, dict):
        raise SettingsError(f"{file}: `severity` must be a table such as {{ FGC310 = 'error' }}")
    for code, severity in table.items():
        check_severity(f"{file}: ", code, severity)
    return dict(table)


def check_severity(where: str, code: str, severity: Any) -> None:
    """Raise SettingsError unless a severity is one."""
    if severity not in _SEVERITIES:
        raise SettingsError(f"{where}severity of {code} must be one of {', '.join(_SEVERITIES)}, not {severity!r}")
