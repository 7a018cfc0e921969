"""A tree of messages, as OpenAssistant has them, to one thread of it."""

import math
import random
from typing import Any

Thread = list[dict[str, str]]

_ROLES = {"prompter": "user", "assistant": "assistant"}


def drawn_thread(row: dict[str, Any], *, temperature: float = 1.0) -> Thread | None:
    """Returns a thread from the root to an answer; None for a tree without one.

    At each branch a reply is drawn with probability softmax(quality / temperature);
    the tree's own number seeds the draw, so that a run can be repeated.
    """
    draw = random.Random(row["message_tree_id"])
    node, thread = row["prompt"], []
    while True:
        thread.append({"role": _ROLES[node["role"]], "content": node["text"]})
        replies = node.get("replies") or []
        if not replies:
            break
        qualities = [reply.get("quality", 0.0) for reply in replies]
        weights = [math.exp(quality / temperature) for quality in qualities]
        node = draw.choices(replies, weights)[0]
    while thread and thread[-1]["role"] != "assistant":
        thread.pop()
    return thread or None
