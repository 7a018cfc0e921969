"""A path of the configuration that a command line names, explained."""

import sys
from argparse import Namespace

from fgc.cli.guard import with_selection
from fgc.cli.select import Selected, report
from fgc.explain import UnknownPath, explain, explanation_to_json, explanation_to_text
from fgc.syntax import parse
from fgc.workspace.replay import ReadSources, facts_of


def explain_path(arguments: Namespace, path: str) -> int:
    """Print the explanation; 2 if the path names nothing, 1 if the configuration has errors."""

    def show(selected: Selected) -> int:
        loader = ReadSources(selected.sources)
        entry = parse(selected.compilation.entry).value
        found = explain(entry, loader, selected.variables, facts_of(selected), path=path)
        errors = [diagnostic for diagnostic in selected.diagnostics if diagnostic.severity.value == "error"]
        if isinstance(found, UnknownPath):
            print(f"fgc: {selected.name}: {found}", file=sys.stderr)
            report(errors)
            return 2
        is_json = arguments.format == "json"
        sys.stdout.write(explanation_to_json(found) + "\n" if is_json else explanation_to_text(found))
        sys.stdout.flush()
        report(errors)
        return int(bool(errors))

    return with_selection(arguments, show)
