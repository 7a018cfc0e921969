"""A chat with a model: lines in, answers out, until the user ends it. An error ends an answer and not the chat."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from fgc_runtime.client.answer import show
from fgc_runtime.client.api import Api, ApiError
from fgc_runtime.client.conversation import COMMANDS, Conversation
from fgc_runtime.client.prompt import Cancelled, line_reader
from fgc_runtime.terminal import visible, visible_line


@dataclass(frozen=True, slots=True)
class Chat:
    """Whom to ask, and how. `fields` are those of every request."""

    api: Api
    model: str
    fields: Mapping[str, object]
    shows_usage: bool

    def run(self, conversation: Conversation) -> None:
        """Read lines and answer them until the input ends."""
        read = line_reader(name.partition(" ")[0] for name in COMMANDS)
        if sys.stdin.isatty():
            print(f"Chat with {visible_line(self.model)} at {self.api.base}. /help lists commands, Ctrl-D ends.")
        while True:
            try:
                line = read()
            except Cancelled:
                continue
            if line is None or line.strip() == "/quit":
                return
            if line.strip():
                self._take(line, conversation)

    def _take(self, line: str, conversation: Conversation) -> None:
        if line.startswith("/") and line.strip() != "/retry":
            print(conversation.command(line.strip()))
            return
        question = conversation.take_back() if line.strip() == "/retry" else line
        if question is None:
            print("nothing was asked yet")
            return
        conversation.ask(question)
        try:
            self.answer(conversation)
        except ApiError as error:
            print(f"fgc inf client: {visible(str(error))}", file=sys.stderr)

    def answer(self, conversation: Conversation) -> bool:
        """Print the answer to the last question and keep it, also where it breaks off; whether it is whole."""
        said = show(self.api.chat(self.model, conversation.request(), self.fields), shows_usage=self.shows_usage)
        conversation.answer(said.text)
        if said.error is not None:
            raise said.error
        return said.is_whole
