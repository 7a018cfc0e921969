"""A conversation so far, and the commands by which a user changes it; prints nothing, asks no server."""

import json
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

COMMANDS = {
    "/help": "list the commands",
    "/clear": "forget what was said",
    "/system [TEXT]": "show or change the system message; `/system -` removes it",
    "/retry": "ask the last question again",
    "/set [NAME VALUE]": "show, or change, how answers are chosen: `/set temperature 0`; `/set temperature -` as usual",
    "/save FILE": "write the chat to a JSON file",
    "/load FILE": "go on with a chat that was saved",
    "/quit": "end (also Ctrl-D)",
}


# The fields of a chat request that say how an answer is made; the other fields are the client's own.
_SETTINGS = (
    *("max_tokens", "max_completion_tokens", "min_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop"),
    *("frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias", "stop_token_ids", "ignore_eos"),
    *("reasoning_effort", "include_reasoning", "separate_reasoning", "chat_template_kwargs", "response_format"),
)


@dataclass(slots=True)
class Conversation:
    """The messages of a chat, without the system's."""

    system: str | None = None
    messages: list[dict[str, str]] = field(default_factory=list)
    fields: dict[str, object] = field(default_factory=dict)  # of every request

    def request(self) -> list[dict[str, str]]:
        """All messages, as the API wants them."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *self.messages]

    def ask(self, text: str) -> None:
        """Add a question."""
        self.messages.append({"role": "user", "content": text})

    def answer(self, text: str) -> None:
        """Add what the model said; a question without any answer is as if it had not been asked."""
        if text:
            self.messages.append({"role": "assistant", "content": text})
        else:
            self.messages.pop()

    def take_back(self) -> str | None:
        """Remove the last question with its answer, and return it."""
        while self.messages:
            message = self.messages.pop()
            if message["role"] == "user":
                return message["content"]
        return None

    def trim(self) -> bool:
        """Forget the oldest question with its answer, but never the last question; returns whether there was one."""
        later = next((i for i, each in enumerate(self.messages) if i > 0 and each["role"] == "user"), None)
        if later is None:
            return False
        del self.messages[:later]
        return True

    def command(self, line: str) -> str:
        """Do what a command says; the text to show. `/retry` and `/quit` are the caller's."""
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        match word:
            case "/help":
                width = max(map(len, COMMANDS))
                return "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
            case "/clear":
                self.messages.clear()
                return "started a new chat" + ("; the system message stays" if self.system else "")
            case "/system":
                return self._system(rest)
            case "/set":
                return self._set(rest)
            case "/save":
                return self._save(rest)
            case "/load":
                return self._load(rest)
            case _:
                return f"there is no command `{word}`; /help lists them"

    def _system(self, text: str) -> str:
        if text:
            self.system = None if text == "-" else text
            return "the system message is removed" if self.system is None else "the system message is changed"
        return self.system or "there is no system message"

    def _set(self, text: str) -> str:
        name, _, value = text.partition(" ")
        if not name:
            chosen = {name: value for name, value in self.fields.items() if name != "stream"}
            return "\n".join(f"{name} {json.dumps(value)}" for name, value in chosen.items()) or "nothing is set"
        if not value:
            return f"{name} {json.dumps(self.fields[name])}" if name in self.fields else f"`{name}` is not set"
        if value == "-":
            self.fields.pop(name, None)
            return f"`{name}` is as usual"
        if name not in _SETTINGS:
            near = get_close_matches(name, _SETTINGS, n=1)
            help = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(_SETTINGS)}"
            return f"there is no setting `{name}`; {help}"
        try:
            self.fields[name] = json.loads(value)
        except ValueError:
            self.fields[name] = value  # a text
        return f"{name} {json.dumps(self.fields[name])}"

    def _load(self, name: str) -> str:
        """Takes the messages of a file; the chat stays as it was if the file has none."""
        if not name:
            return "write `/load FILE`"
        path = Path(name).expanduser()
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            return f"`{path}` cannot be read: {error}"
        if not (isinstance(found, list) and found and all(map(_is_message, found))):
            return f"`{path}` contains no chat: a list of messages, as `/save` writes it"
        has_system = found[0]["role"] == "system"
        self.system = found[0]["content"] if has_system else None
        self.messages = found[1:] if has_system else found
        return f"read {len(found)} messages"

    def _save(self, name: str) -> str:
        if not name:
            return "write `/save FILE`"
        path = Path(name).expanduser()
        if path.exists():
            return f"`{path}` is there already; nothing was written"
        try:
            path.write_text(json.dumps(self.request(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            return f"`{path}` cannot be written: {error.strerror or error}"
        return f"wrote {len(self.request())} messages to {path}"


def _is_message(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return value.get("role") in ("system", "user", "assistant") and isinstance(value.get("content"), str)
