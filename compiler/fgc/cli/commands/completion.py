"""Print a script that completes commands, options and configurations in a shell.

`configs` prints the names of the project's configurations, which the scripts ask for behind `-t`.
"""

import sys
from argparse import ArgumentParser, Namespace
from importlib import import_module
from typing import Any

EXAMPLES = (
    "source <(fgc completion bash)                                   in ~/.bashrc",
    "source <(fgc completion zsh)                                    in ~/.zshrc, behind compinit",
    "fgc completion fish > ~/.config/fish/completions/fgc.fish",
)


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc completion`."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "configs"), help="which shell")


def run(arguments: Namespace) -> int:
    """Print the script."""
    if arguments.shell == "configs":
        return _print_configs(arguments)
    options = _options_by_command()
    sys.stdout.write(_fish(options) if arguments.shell == "fish" else _bash(options, arguments.shell))
    return 0


def _print_configs(arguments: Namespace) -> int:
    """One name on each line; nothing where there is no project: a completion must not complain."""
    from fgc.cli.arguments import CannotRun
    from fgc.cli.projects import chosen_project  # the compiler's stages: 0.15 s
    from fgc.workspace import FileStore, ProjectError

    try:
        project = chosen_project(arguments, FileStore(checks_calls=False))
    except (CannotRun, ProjectError):
        return 0
    print("\n".join(project.configurations))
    return 0


def _options_by_command() -> dict[str, tuple[str, list[str]]]:
    """Every command with its first sentence and its options."""
    from fgc.cli.main import command_names

    found: dict[str, tuple[str, list[str]]] = {}
    for name in command_names():
        module = import_module(f"fgc.cli.commands.{name.replace('-', '_')}")
        found[name] = ((module.__doc__ or "").splitlines()[0].rstrip("."), _words(module, name))
    return found


def _words(module: Any, name: str) -> list[str]:
    """What may stand behind a command: its actions, such as `ws init`, and the options of all of them."""
    if hasattr(module, "completion_words"):
        return [*module.completion_words(), "--help"]
    parser = ArgumentParser(prog=name)
    if hasattr(module, "configure"):
        module.configure(parser)
    options, words = set(parser._option_string_actions), ["-p", "-t"]
    for action in parser._actions:
        if not action.option_strings and action.choices:
            words += map(str, action.choices)
            parsers = action.choices.values() if isinstance(action.choices, dict) else ()
            options.update(*(inner._option_string_actions for inner in parsers))
    return [*sorted(options), *words]


def _bash(options: dict[str, tuple[str, list[str]]], shell: str) -> str:
    cases = "".join(f"        {name}) words={_quoted(' '.join(words))} ;;\n" for name, (_, words) in options.items())
    start = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return start + _BASH.replace("@COMMANDS@", " ".join(options)).replace("@CASES@", cases)


def _fish(options: dict[str, tuple[str, list[str]]]) -> str:
    lines = [
        "complete -c fgc -s t -l config -x -a '(fgc completion configs 2>/dev/null)' -d configuration",
        "complete -c fgc -s p -l project -x -a '(__fish_complete_directories)' -d 'project folder'",
    ]
    for name, (summary, words) in options.items():
        lines.append(f"complete -c fgc -n __fish_use_subcommand -f -a {name} -d {_quoted(summary)}")
        for word in words:
            kind = "-l " + word[2:] if word.startswith("--") else "-s " + word[1:] if word[0] == "-" else "-a " + word
            if word not in ("-p", "-t"):
                lines.append(f"complete -c fgc -n '__fish_seen_subcommand_from {name}' {kind}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "") + "'"


_BASH = """\
_fgc() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" command="" words="" index=1
    while [ "$index" -lt "$COMP_CWORD" ]; do
        case "${COMP_WORDS[index]}" in
        -p|--project|-t|--config) index=$((index + 1)) ;;
        -*) ;;
        *) command="${COMP_WORDS[index]}"; break ;;
        esac
        index=$((index + 1))
    done
    COMPREPLY=()
    local IFS=$' \\t\\n'
    case "$previous" in
    -t|--config)
        IFS=$'\\n'
        COMPREPLY=($(compgen -W "$(fgc completion configs 2>/dev/null)" -- "$current"))
        return ;;
    -p|--project)
        IFS=$'\\n'
        COMPREPLY=($(compgen -d -- "$current"))
        return ;;
    esac
    if [ -z "$command" ]; then
        words="@COMMANDS@ -p -t -i --version --help"
    else
        case "$command" in
@CASES@        esac
        COMPREPLY=($(compgen -f -- "$current"))
    fi
    COMPREPLY+=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -F _fgc fgc
"""
