"""Print a script that completes commands, options and configurations in a shell.

`configs` prints the names of the project's configurations, which the scripts use to complete `-t`. `options WORDS`
prints the options that the configuration of a command line declares.
"""

import sys
from argparse import REMAINDER, ArgumentParser, Namespace
from importlib import import_module
from typing import Any

EXAMPLES = (
    "source <(fgc completion bash)                                   in ~/.bashrc",
    "source <(fgc completion zsh)                                    in ~/.zshrc, behind compinit",
    "fgc completion fish > ~/.config/fish/completions/fgc.fish",
)


def configure(parser: ArgumentParser) -> None:
    """The arguments of `fgc completion`."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "configs", "options"), help="which shell")
    parser.add_argument("words", nargs=REMAINDER, help="what is typed so far, for `options`")


def run(arguments: Namespace) -> int:
    """Print the script."""
    if arguments.shell == "configs":
        return _print_configs(arguments)
    if arguments.shell == "options":
        return _print_options(arguments.words)
    options = _options_by_command()
    sys.stdout.write(_fish(options) if arguments.shell == "fish" else _filled(_SCRIPTS[arguments.shell], options))
    return 0


def _print_configs(arguments: Namespace) -> int:
    """Prints one name on each line; nothing without a project, because a completion must not report errors.

    A name with a line break or an escape sequence is left out: it would read as other names, or move the cursor.
    """
    from fgc.cli.arguments import CannotRun
    from fgc.cli.projects import chosen_project  # the compiler's stages: 0.15 s
    from fgc.workspace import FileStore, ProjectError

    try:
        project = chosen_project(arguments, FileStore(checks_calls=False))
    except (CannotRun, ProjectError):
        return 0
    print("\n".join(name for name in project.configurations if name.isprintable()))
    return 0


def _print_options(words: list[str]) -> int:
    """Prints the options of the configuration that the words so far name; nothing if they name none."""
    from fgc.cli.main import declared_names

    for name in declared_names(words):
        print(name)
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
    """Returns the words that may follow a command: its actions, such as `init` of `ws`, and their options."""
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


def _filled(script: str, options: dict[str, tuple[str, list[str]]]) -> str:
    cases = "".join(f"        {name}) words={_quoted(' '.join(words))} ;;\n" for name, (_, words) in options.items())
    return script.replace("@COMMANDS@", " ".join(options)).replace("@CASES@", cases)


def _fish(options: dict[str, tuple[str, list[str]]]) -> str:
    lines = [
        "complete -c fgc -s t -l config -x -a '(fgc completion configs 2>/dev/null)' -d configuration",
        "complete -c fgc -s p -l project -x -a '(__fish_complete_directories)' -d 'project folder'",
    ]
    is_option = 'string match -q -- "-*" (commandline -ct)'
    declared = "fgc completion options (commandline -opc)[2..] 2>/dev/null"
    lines.append(f"complete -c fgc -n 'not __fish_use_subcommand' -a '({is_option}; and {declared})'")
    for name, (summary, words) in options.items():
        lines.append(f"complete -c fgc -n __fish_use_subcommand -f -a {name} -d {_quoted(summary)}")
        for word in words:
            kind = "-l " + word[2:] if word.startswith("--") else "-s " + word[1:] if word[0] == "-" else "-a " + word
            if word not in ("-p", "-t"):
                lines.append(f"complete -c fgc -n '__fish_seen_subcommand_from {name}' {kind}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "") + "'"


# In both scripts a name stays data: never split, expanded or evaluated, and typed with quotes where it needs them.
# bash: `compgen -W` would run `$(...)` in a name, and `complete -o filenames` leaves `$` and backticks as they are.
_BASH = """\
_fgc_configs() {
    local name
    while IFS= read -r name; do
        [[ "$name" == "$1"* ]] && COMPREPLY+=("$(printf %q "$name")")
    done < <(fgc completion configs 2>/dev/null)
}
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
    case "$previous" in
    -t|--config)
        current="${current//\\\\/}"
        _fgc_configs "${current#[\\"\\']}"
        return ;;
    -p|--project)
        compopt -o dirnames 2>/dev/null
        return ;;
    esac
    if [ -z "$command" ]; then
        words="@COMMANDS@ -p -t -i --version --help"
    else
        case "$command" in
@CASES@        esac
    fi
    local word
    for word in $words; do
        [[ -n "$command" && -z "$current" && "$word" == -* ]] && continue
        [[ "$word" == "$current"* ]] && COMPREPLY+=("$word")
    done
    [[ -n "$command" && "$current" == -* ]] || return 0
    while IFS= read -r word; do
        [[ "$word" == "$current"* ]] && COMPREPLY+=("$(printf %q "$word")")
    done < <(fgc completion options "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)
}
complete -o default -F _fgc fgc  # files, where no word fits
"""
_ZSH = """\
#compdef fgc
_fgc() {
    local command="" index=2
    local -a names
    while (( index < CURRENT )); do
        case "${words[index]}" in
        -p|--project|-t|--config) (( index += 1 )) ;;
        -*) ;;
        *) command="${words[index]}"; break ;;
        esac
        (( index += 1 ))
    done
    case "${words[CURRENT-1]}" in
    -t|--config)
        names=("${(@f)$(fgc completion configs 2>/dev/null)}")
        [[ -n "$names" ]] && compadd -- "${names[@]}"
        return ;;
    -p|--project)
        _files -/
        return ;;
    esac
    if [[ -z "$command" ]]; then
        compadd -- @COMMANDS@ -p -t -i --version --help
        return
    fi
    _fgc_words "$command"
    if [[ "${words[CURRENT]}" == -* ]]; then
        names=("${(@f)$(fgc completion options "${(@)words[2,CURRENT-1]}" 2>/dev/null)}")
        [[ -n "$names" ]] && compadd -- "${names[@]}"
    fi
    _files
}
_fgc_words() {
    local words=""
    case "$1" in
@CASES@    esac
    compadd -- ${=words}
}
if [[ "${funcstack[1]}" == _fgc ]]; then
    _fgc "$@"
else
    (( $+functions[compdef] )) || { autoload -U compinit && compinit -i; }
    compdef _fgc fgc
fi
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH}
