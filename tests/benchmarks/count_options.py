"""The options of all configurations in a tree: how many a built program has too, and why it has not the others.

    python -m tests.benchmarks.count_options TREE [--places]

TREE is a tree of projects, such as that of the language's origin. Nothing is written.
"""

import argparse
from collections import Counter
from pathlib import Path

from fgc.emit.options import Options
from fgc.pipeline.dynamic import dynamic_arguments
from fgc.pipeline.program import make_script
from fgc.workspace import FileStore, ProjectError, open_project
from fgc.workspace.selection import Selected, select_config


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--places", action="store_true", help="each closed option with its place")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for meta in sorted(arguments.tree.rglob("meta.yaml")):
        for selected in _configurations(meta.parent):
            options = _options(selected, counts)
            if options is None:
                continue
            counts["open"] += len(options.offered)
            counts["closed"] += len(options.closed)
            reasons.update(closed.reason for closed in options.closed)
            if arguments.places:
                for closed in options.closed:
                    print(f"{selected.name}: {closed.option.names[0]}: {closed.reason} ({closed.span})")
    print(dict(counts))
    for reason, number in reasons.most_common():
        print(f"{number:6} {reason}")


def _configurations(folder: Path) -> list[Selected]:
    try:
        project = open_project(folder, FileStore())
    except ProjectError:
        return []
    return [select_config(project, name, {}) for name in project.configurations]


def _options(selected: Selected, counts: Counter[str]) -> Options | None:
    """The options of a configuration's program; None, with the declared ones counted, if it has none."""
    counts["configurations"] += 1
    if "main" not in selected.compilation.graph.targets or selected.has_errors:
        counts["of no program"] += len(dynamic_arguments(selected.compilation.graph).value)
        return None
    made = make_script(selected.compilation.graph, "main", selected.surroundings, ())
    if made.value is None:
        counts["of no program"] += len(dynamic_arguments(selected.compilation.graph).value)
        return None
    return made.value.options


if __name__ == "__main__":
    main()
