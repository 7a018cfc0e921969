"""Decides whether a name is a typing error of another, or another word."""

from fgc.patterns import regex

_WORD = regex(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_SHORT = 3  # letters: changing one gives another word, as in `bos` and `eos`
_LONG = 6  # letters from which a typing error is more likely than another word
_VERY_LONG = 9  # letters from which two may be wrong


def is_slip(name: str, other: str) -> bool:
    """Returns True if every word of `name` equals that of `other`, apart from easily mistyped letters."""
    if name == other:
        return False
    words, others = words_of(name), words_of(other)
    if len(words) != len(others):
        return "".join(words) == "".join(others)
    pairs = zip(words, others, strict=True)
    return all(word == meant or _is_slip_of_word(word, meant, is_part=len(words) > 1) for word, meant in pairs)


def words_of(name: str) -> list[str]:
    """Splits a name at punctuation, capitals and digits, and returns the words in lower case."""
    return [word.casefold() for word in _WORD.findall(name)]


def _is_slip_of_word(word: str, meant: str, *, is_part: bool) -> bool:
    if word.isdigit() or meant.isdigit():
        return False
    if len(word) == len(meant):
        return _is_swapped(word, meant) or _is_replaced(word, meant) or _has_two_slips(word, meant)
    longer, shorter = (word, meant) if len(word) > len(meant) else (meant, word)
    may_end = is_part or (len(word) < len(meant) and len(word) >= _LONG)
    is_one = len(longer) - len(shorter) == 1 and _is_inserted(longer, shorter, may_end=may_end)
    return is_one or _has_two_slips(word, meant)


def _is_swapped(word: str, meant: str) -> bool:
    """Returns True if two neighbouring letters are exchanged."""
    at = next((place for place in range(len(word)) if word[place] != meant[place]), 0)
    return len(word) >= _SHORT and word[:at] + word[at : at + 2][::-1] + word[at + 2 :] == meant


def _is_replaced(word: str, meant: str) -> bool:
    """Returns True if one letter inside a long word differs; at its ends, it would be another word."""
    wrong = [at for at in range(len(word)) if word[at] != meant[at]]
    return len(word) >= _LONG and len(wrong) == 1 and 1 < wrong[0] < len(word) - 1


def _is_inserted(longer: str, shorter: str, *, may_end: bool) -> bool:
    """Returns True if one letter was added: a doubled one, a plural's, one inside, or with `may_end` the last one."""
    at = next((place for place in range(len(shorter)) if longer[place] != shorter[place]), len(shorter))
    if longer[:at] + longer[at + 1 :] != shorter or len(shorter) < _SHORT:
        return False
    is_doubled = at > 0 and longer[at] == longer[at - 1]
    is_last = at == len(shorter)
    return is_doubled or 0 < at < len(shorter) or (is_last and (may_end or longer[at] == "s"))


def _has_two_slips(word: str, meant: str) -> bool:
    """Returns True if two letters inside a very long word are wrong, added or missing."""
    is_long = min(len(word), len(meant)) >= _VERY_LONG and abs(len(word) - len(meant)) <= 2
    return is_long and word[:3] == meant[:3] and word[-2:] == meant[-2:] and _distance(word, meant) <= 2


def _distance(word: str, meant: str) -> int:
    """Returns the number of letters to replace, insert or drop (Levenshtein 1966)."""
    row = list(range(len(meant) + 1))
    for number, letter in enumerate(word, start=1):
        previous, row = row, [number]
        for at, wanted in enumerate(meant):
            row.append(min(row[at] + 1, previous[at + 1] + 1, previous[at] + (letter != wanted)))
    return row[-1]
