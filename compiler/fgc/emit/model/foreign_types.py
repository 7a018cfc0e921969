"""Reads the model types that transformers defines from its files, which are not imported."""

from functools import cache

from fgc.installed import package_folder
from fgc.patterns import regex

_FILES = ("auto_mappings.py", "configuration_auto.py")
_ENTRY = regex(r"""["']([\w-]+)["']\s*[:,]\s*["']\w+Config["']""")


@cache
def foreign_model_types() -> frozenset[str]:
    """Returns the `model_type`s that AutoConfig maps to classes of transformers; none if it is not installed."""
    package = package_folder("transformers")
    if package is None:
        return frozenset()
    files = [package / "models" / "auto" / name for name in _FILES]
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    return frozenset(name for text in texts for name in _ENTRY.findall(text))
