"""Packages that only some options need: a sentence where one is missing, before any work is done."""

from importlib.util import find_spec


def require_package(package: str, user: str, *, otherwise: str = "") -> None:
    """Raises ModuleNotFoundError if a package is not installed, naming what asks for it and what would do without."""
    if find_spec(package) is None:
        message = f"{user} needs the package {package}, which is not installed: pip install {package}"
        raise ModuleNotFoundError(message + (f"; {otherwise}" if otherwise else ""), name=package)


def require_extra(package: str, user: str, *, extra: str) -> None:
    """Raises MissingExtra if a package is not installed, naming what asks for it and the extra of fgc that has it."""
    if find_spec(package) is None:
        raise MissingExtra(f"{user} needs the package {package}, which is not installed: pip install 'fgc[{extra}]'")


class MissingExtra(ModuleNotFoundError):
    """A package of an extra is not installed; the message says how to get it."""
