"""The page of a finding: Markdown with what it means, a bad example and a good one."""

from pathlib import Path

_FOLDER = Path(__file__).with_name("pages")


def page_of(code: str) -> str | None:
    """The page of a code, or None if it has none."""
    path = _FOLDER / f"{code}.md"
    return path.read_text(encoding="utf-8") if path.is_file() else None
