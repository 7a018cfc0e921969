"""What was said so far, and the commands by which a user changes it; prints nothing, asks no server."""

import json
from dataclasses import dataclass, field
from pathlib import Path

COMMANDS = {
    "/help": "list the commands",
    "/clear": "forget what was said",
    "/system [TEXT]": "show, or change, what the model is told before the chat; `/system -` removes it",
    "/retry": "ask the last question again",
    "/save FILE": "write the chat to a JSON file",
    "/quit": "end (also Ctrl-D)",
}


@dataclass(slots=True)
class Conversation:
    """The messages of a chat, without the system's."""

    system: str | None = None
    messages: list[dict[str, str]] = field(default_factory=list)

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
                return "the chat begins anew" + (", the system message stays" if self.system else "")
            case "/system":
                return self._system(rest)
            case "/save":
                return self._save(rest)
            case _:
                return f"there is no command `{word}`; /help lists them"

    def _system(self, text: str) -> str:
        if text:
            self.system = None if text == "-" else text
            return "the system message is removed" if self.system is None else "the system message is changed"
        return self.system or "there is no system message"

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
