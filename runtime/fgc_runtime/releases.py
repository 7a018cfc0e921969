"""The releases of fgc whose programs and checkpoints this runtime takes. Needs nothing but Python.

What a release from `OLDEST` on has written runs with this one: names that programs import keep their meaning or get an
alias, and checkpoints keep their format or are converted. Everything else is refused with the version to install, if
that was ever released.
"""

import json
import os
import re

from fgc_runtime.sources import MANIFEST, program_files

VERSION = "0.2.0"
OLDEST = "0.2.0"
_FIRST = "0.2.0"  # to be released; what was built from the sources before it cannot be installed


def refusal(what: str, written_by: object) -> str | None:
    """Returns why this runtime does not take something that fgc of a version wrote; None if it does.

    Before 1.0 a second number, after it a first one, says that something has changed which others rely on. Without a
    version to compare, nothing is refused.
    """
    written, own = _numbers(str(written_by)), _numbers(VERSION)
    if not written:
        return None
    if written < _numbers(OLDEST):
        takes = f"{what} is of fgc {written_by}, and this is fgc {VERSION}, which takes those of {OLDEST} and later"
        installed = "" if written < _numbers(_FIRST) else f", or `pip install fgc=={written_by}`"
        return f"{takes}: make it again{installed}"
    if _promised(written) > _promised(own):
        return f"{what} is of fgc {written_by}, and this is fgc {VERSION}: `pip install 'fgc>={written_by}'`"
    return None


def other_format(what: str, written_by: object, wanted: int) -> str:
    """Returns what to say of a file whose format is not the one that this runtime reads."""
    told = refusal(what, written_by)
    return told or f"{what} is not of a format that fgc {VERSION} reads, which is {wanted}"


def check_program() -> None:
    """Ends a program that another release built, with a line that says which version to install."""
    own = program_files()
    if own is None or own.main not in own.outputs:
        return
    told = refusal(own.main, json.loads(own.contents[MANIFEST]).get("fgc"))
    if told is not None:
        raise SystemExit(f"error: {told}" if os.environ.get("RANK", "0") == "0" else 1)


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return () if found is None else tuple(map(int, found.groups()))


def _promised(numbers: tuple[int, ...]) -> tuple[int, ...]:
    return numbers[: 1 if numbers[0] else 2]
