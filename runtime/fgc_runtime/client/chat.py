"""A chat with a model: lines in, answers out, until the user ends it. An error ends an answer and not the chat."""

import sys
from dataclasses import dataclass

from fgc_runtime.client.answer import show
from fgc_runtime.client.api import Api, ApiError
from fgc_runtime.client.conversation import COMMANDS, Conversation
from fgc_runtime.client.prompt import Cancelled, line_reader
from fgc_runtime.terminal import visible, visible_line


@dataclass(frozen=True, slots=True)
class Chat:
    """Whom to ask, and how."""

    api: Api
    model: str
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
        """Print the answer to the last question and keep it, also where it breaks off; whether it is whole.

        A chat that is too long for the model loses its oldest questions, if it gets an answer without them.
        """
        whole, num_left_out = list(conversation.messages), 0
        while True:
            pieces = self.api.chat(self.model, conversation.request(), conversation.fields)
            said = show(pieces, shows_usage=self.shows_usage)
            is_too_long = said.error is not None and said.error.code == "context_length_exceeded"
            if not (is_too_long and conversation.trim()):
                break
            num_left_out += 1
        if not said.text:
            conversation.messages = whole
        elif num_left_out:
            oldest = "oldest question is" if num_left_out == 1 else f"{num_left_out} oldest questions are"
            print(f"[the chat is too long for the model: its {oldest} left out]", file=sys.stderr)
        conversation.answer(said.text)
        if said.error is not None and is_too_long:
            raise ApiError(
                f"the question alone is too long, the chat stays as it was: {said.error}", code=said.error.code
            )
        if said.error is not None:
            raise said.error
        return said.is_whole
