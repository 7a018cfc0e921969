"""Tools told to a model whose chat template knows none: a system message that lists them."""

import json
from collections.abc import Sequence

from fgc_runtime.serve.call_formats import Tool
from fgc_runtime.serve.messages import Message

_ASKS = """\
You can call these functions, given as JSON:
{specs}
To call one, answer with a JSON object and nothing else: {{"name": NAME, "arguments": {{...}}}}"""


def with_tools_told(messages: Sequence[Message], tools: Sequence[Tool]) -> tuple[Message, ...]:
    """Returns the messages with the tools behind the system's first words."""
    specs = "\n".join(json.dumps(tool.spec.get("function"), ensure_ascii=False) for tool in tools)
    told = _ASKS.format(specs=specs)
    if messages and messages[0].role in ("system", "developer"):
        told = f"{messages[0].content}\n\n{told}" if messages[0].content else told
        messages = messages[1:]
    return (Message("system", told, None), *messages)
