"""Construct objects of a configuration and print them.

Runs the program that `fgc build` would write, in the project's folder. Several targets share their objects. `--call`
calls the constructed object, such as a partial or a function, and prints the result.
"""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from fgc.cli.arguments import CannotRun, add_selection, add_settings, value_of

EXAMPLES = (
    "fgc construct --target model",
    "fgc -t CONFIG construct --target tokenizer --target train_dataset",
    "fgc construct config.yaml --target make_head --call --var width=64",
)


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc construct`."""
    add_selection(parser)
    add_settings(parser)
    parser.add_argument("--target", action="append", metavar="NAME", help="what to construct (default: main)")
    parser.add_argument("--call", action="store_true", help="call it without arguments and print the result")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="set the value of a `!var`")


def run(arguments: Namespace) -> int:
    """Print the objects; 1 if a finding is an error or the construction fails, 2 for a wrong name."""
    from fgc.cli.guard import with_selection  # the compiler's stages: 0.15 s
    from fgc.cli.select import Selected

    def show(selected: Selected) -> int:
        try:
            return _construct(selected, arguments)
        except CannotRun as problem:
            print(f"fgc: {problem}", file=sys.stderr)
            return 2

    return with_selection(arguments, show)


def _construct(selected: Any, arguments: Namespace) -> int:
    from fgc.api.execution import ConstructionError, construct
    from fgc.cli.select import report
    from fgc.pipeline.program import make_module  # the emitter: 0.4 s

    if selected.has_errors:
        report(selected.diagnostics)
        return 1
    names = arguments.target or ["main"]
    outcome = make_module(selected.compilation.graph, names, selected.surroundings)
    found = selected.diagnostics_with(outcome.diagnostics)
    report(finding for finding in found if finding.code != "FGC412")  # `--var` gives what a started program would lack
    if outcome.value is None:
        return 1
    lines = []
    try:
        result = construct(
            outcome.value,
            selected.folder,
            _variables(arguments),
            resolved=selected.compilation.document.text,
            system_path=selected.system_path,
            secrets=selected.secrets,
        )
        for name, value in ({names[0]: result} if len(set(names)) == 1 else result).items():
            lines.append(
                _text(name if len(set(names)) > 1 else None, _called(name, value) if arguments.call else value)
            )
    except (ConstructionError, CannotRun) as problem:
        raise CannotRun(str(problem)) from None
    except Exception:
        import traceback

        traceback.print_exc()
        return 1
    print("\n".join(lines))
    return 0


def _variables(arguments: Namespace) -> dict[str, Any]:
    pairs = [text.partition("=") for text in arguments.var]
    for name, equals, value in pairs:
        if not equals:
            raise CannotRun(f"`--var {name}{value}`: write `--var name=value`")
    return {name: value_of(value) for name, _, value in pairs}


def _called(name: str, value: Any) -> Any:
    if not callable(value):
        raise CannotRun(f"`{name}` cannot be called: it is a `{type(value).__name__}`")
    return value()


def _text(name: str | None, value: Any) -> str:
    from pprint import pformat

    text = value if isinstance(value, str) else pformat(value, width=120, sort_dicts=False)
    return text if name is None else f"{name}: {text}"
