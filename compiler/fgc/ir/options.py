"""The options that a configuration declares for its program."""

from msgspec import Struct

from fgc.ir.nodes import Scalar


class Option(Struct, frozen=True):
    """An option: the template variable that it sets, how it is spelt, what it takes, in the words of argparse."""

    variable: str
    names: tuple[str, ...]
    type: str = "str"
    choices: tuple[str | int | float, ...] = ()
    help: str | None = None
    action: str = "store"
    metavar: str | None = None
    nargs: str | int | None = None
    const: Scalar = None

    @property
    def kind(self) -> str:
        """The type of the values that it gives, as options name it."""
        match self.action:
            case "store":
                return self.type
            case "store_const":
                return type(self.const).__name__
            case action:
                return "int" if action == "count" else "bool"

    @property
    def words(self) -> tuple[Scalar, ...]:
        """All values that it may give; none for an option that takes any."""
        return (self.const,) if self.action == "store_const" else self.choices
