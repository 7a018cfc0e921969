"""Token ids in, the names that log probabilities are reported under out."""

from transformers import PreTrainedTokenizerBase

from fgc_runtime.generate.vocabulary import special_tokens, token_bytes


class TokenNames:
    """Remembers each token's bytes: finding them costs more than sending them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._special = special_tokens(tokenizer)
        self._raw: dict[int, bytes] = {}

    def raw(self, token: int) -> bytes:
        if token not in self._raw:
            self._raw[token] = token_bytes(self._tokenizer, token, self._special)
        return self._raw[token]

    def legacy(self, token: int) -> str:
        """The completions API writes a part of a character as `bytes:\\xe2\\x82`."""
        raw = self.raw(token)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
