"""Answers about names, as data that can be written to JSON and read back."""

from enum import Enum

from msgspec import Struct, convert, to_builtins

from fgc.signatures.meaning import Meaning
from fgc.signatures.signature import Signature, TypeName


class DefinitionPlace(Struct, frozen=True):
    """The place of a definition: a file, a line and a column, both from 1."""

    path: str
    line: int
    column: int
    length: int


class Verdict(Enum):
    """The outcome of looking a name up in files."""

    CALLABLE = "callable"
    UNKNOWN = "unknown"  # it may be anything: no complaint
    NOT_INSTALLED = "not installed"
    NO_MODULE = "no module"
    NO_FILE = "no file"  # a package that can make modules may have it
    NO_ATTRIBUTE = "no attribute"
    NOT_CALLABLE = "not callable"


class Answer(Struct, frozen=True):
    """The facts about a name. A callable whose parameters are unknown has no signatures; overloads have several.

    `wrong` is the part of the name that does not exist, `names` are those that could have been meant. `result` is what
    a call gives: one of these types, or not known. `deprecated` is what a deprecated callable says of that. `reason`
    says why the parameters are not known. `meaning` is that of a name in an annotation.
    """

    verdict: Verdict
    signatures: tuple[Signature, ...] = ()
    place: DefinitionPlace | None = None
    wrong: str = ""
    names: tuple[str, ...] = ()
    result: tuple[TypeName, ...] = ()
    deprecated: str | None = None
    reason: str = ""
    meaning: Meaning | None = None


def to_json(answer: Answer) -> object:
    """An answer as JSON has it."""
    return to_builtins(answer)


def from_json(data: object) -> Answer:
    """The answer that `to_json` wrote. Raises ValueError if it is none."""
    return convert(data, Answer)
