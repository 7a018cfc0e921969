"""Makes identifiers from names in templates, without clashes."""

import builtins
import keyword
import re
import unicodedata

BUILTIN_NAMES = frozenset(dir(builtins))
_UNREADABLE = frozenset({"l", "O", "I"})  # look like digits
_VERBS = ("load_", "get_", "make_", "create_", "build_", "construct_")


class Names:
    """The names in use in one generated module. No name shadows another, so each has one meaning."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def reserve(self, name: str) -> str:
        self._taken.add(name)
        return name

    def is_free(self, name: str) -> bool:
        return name not in self._taken and name not in BUILTIN_NAMES and name not in _UNREADABLE and is_identifier(name)

    def fresh(self, *wishes: str) -> str:
        """Returns the first free name of `wishes`, or the first one with a number."""
        for name in map(identifier, wishes):
            if self.is_free(name):
                return self.reserve(name)
        return self._nearest(identifier(wishes[0]))

    def fresh_constant(self, wish: str) -> str:
        """Returns a free name in capitals."""
        return self._nearest(identifier(wish).upper())

    def _nearest(self, name: str) -> str:
        if self.is_free(name):
            return self.reserve(name)
        if self.is_free(f"{name}_") and (name in BUILTIN_NAMES | _UNREADABLE or keyword.iskeyword(name)):
            return self.reserve(f"{name}_")
        number = 2
        while not self.is_free(f"{name}_{number}"):
            number += 1
        return self.reserve(f"{name}_{number}")


def identifier(text: str) -> str:
    """Returns an identifier in lower case that resembles the text; `Names` handles keywords."""
    name = snake_case(re.sub(r"\W+", "_", unicodedata.normalize("NFKC", text)).strip("_"))
    if name.isidentifier():
        return name
    return f"n{name}" if name and f"n{name}".isidentifier() else "value"


def is_identifier(text: str) -> bool:
    """Returns True if the text is a valid name: an identifier in normal form, and not a keyword."""
    is_plain = unicodedata.normalize("NFKC", text) == text and text != "__debug__"
    return is_plain and text.isidentifier() and not keyword.iskeyword(text)


def snake_case(text: str) -> str:
    """Returns `training_script` for `TrainingScript`, `adamw` for `AdamW`, `http_server` for `HTTPServer`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text)
    return spaced.lower()


def name_of_result(function: str) -> str:
    """Returns a name for the result of a function or class: `dataset` for `load_dataset`."""
    name = snake_case(function)
    for verb in _VERBS:
        if name.startswith(verb) and len(name) > len(verb):
            return name.removeprefix(verb)
    return name
