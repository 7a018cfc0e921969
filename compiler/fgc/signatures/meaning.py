"""The meaning of a name in an annotation: a class, an enumeration, keys of a mapping, an alias.

Plain data.
"""

from enum import Enum

from msgspec import Struct

from fgc.signatures.signature import Parameter, TypeName


class MeaningKind(Enum):
    """The kinds of meaning of a name."""

    UNKNOWN = "unknown"
    CLASS = "class"
    ENUMERATION = "enumeration"
    FIELDS = "fields"  # a TypedDict
    ALIAS = "alias"


class Meaning(Struct, frozen=True):
    """`type` is the class. `from_one`: its constructor may take one value, so a library may make it of one.

    `values` are the names and values of an enumeration's members, `is_whole` if they are all known. `fields` are the
    keys of a TypedDict; those without a default are required. `annotation`, written in the file `home`, is what an
    alias stands for.
    """

    kind: MeaningKind = MeaningKind.UNKNOWN
    type: TypeName | None = None
    from_one: bool = True
    values: tuple[str | int | float, ...] = ()
    is_whole: bool = False
    fields: tuple[Parameter, ...] = ()
    annotation: str = ""
    home: str = ""


UNKNOWN_MEANING = Meaning()
