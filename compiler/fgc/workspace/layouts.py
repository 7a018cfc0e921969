"""Black's layout of generated texts, kept on disk: most of a program is as it was when it was last built."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

from fgc import __version__
from fgc.emit.layout import LINE_WIDTH, black_layout
from fgc.workspace.kept import KeptTexts


def kept_layout(text: str) -> str:
    """Python text as Black lays it out."""
    kept = KeptTexts("layouts")
    question = json.dumps([text, LINE_WIDTH, __version__, sys.version, _black()])
    known = kept.get(question)
    if known is None:
        known = black_layout(text)
        kept.put(question, known)
    return known


def _black() -> list[object]:
    """What changes when another Black is installed; importing it for its version would cost what this saves."""
    spec = find_spec("black")
    if spec is None or spec.origin is None:
        return []
    files = sorted(Path(spec.origin).parent.glob("_black_version.*"))
    return [[str(path), path.stat().st_mtime_ns, path.stat().st_size] for path in files]
