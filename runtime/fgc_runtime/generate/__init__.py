"""Generates text with a transformers model: many requests share one running batch (continuous batching).

Requests arrive at any time and differ in length. If a batch ran until its longest text ended, short ones would wait.
Here, texts join and leave the batch between two steps. A *turn* of the worker thread is

    receive jobs -> drop cancelled ones -> read up to a chunk of prompts -> one token for each running text -> send

Jobs A (a prompt of 3 tokens) and B (12) are there, C (2) comes later; `max_batch_size=2` and `chunk_size=8`:

    turn   prompts are read up to   running
    1      A 3 of 3, B 5 of 12      A          the last logits of A's prompt give its first token, then A steps
    2      B 7 of 12                A          beside a running text, a turn reads a quarter of a chunk: 2 tokens
    3      B 8 of 12, C 1 of 2      A          the oldest prompt gets half, the shortest the rest
    4      B 9 of 12, C 2 of 2      A, C       C joins; now both rows are taken, and B waits
    ...    B 12 of 12               C, B       once A has ended, B reads on and joins

- `job`, `waiting`: what is asked for, and the prompts that wait. `reading_order` gives the oldest prompt half of the
  chunk and then prefers short ones, so a long prompt neither starves nor blocks the others.
- `prefill` reads a prompt chunk by chunk into a cache of batch size one; `prefixes` keeps caches of earlier texts, so
  that a prompt that begins like one of them reads only the rest.
- `rows` is the running batch. `PackedRows` steps texts of similar length in one forward call (`packed` aligns their
  keys and values at the right). `SeparateRows`, `RecomputedRows` and `scaled_rows` serve models that cannot share a
  batch. `probe` tries them on the model, and chooses the fastest that gives the same logits.
- `sampling`, `grammar`, `stops`, `detokenizer`: logits to a token, and tokens to text.
- `budget` counts how many tokens of keys and values fit into memory. If running texts exceed it, or memory runs out,
  the youngest text *steps back*: it gives up its row and is read again, with the tokens it has, when there is room.

Start reading at `Engine._work` in `engine`. Invariant: a failure ends only the texts that took part in it, and changes
no other text. Nothing here knows HTTP or JSON; `fgc_runtime.serve` is the first user.
"""
