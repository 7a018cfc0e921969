"""Two names to whether one is a slip of the other: a mistyped letter, and not another word."""

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_SHORT = 3  # letters: another letter makes another word, as in `bos` and `eos`
_LONG = 6  # letters from which a wrong one is more likely than another word
_VERY_LONG = 9  # letters in which two may be wrong


def is_slip(name: str, other: str) -> bool:
    """Returns True if every word of `name` is that of `other`, but for letters that are easily mistyped."""
    if name == other:
        return False
    words, others = words_of(name), words_of(other)
    if len(words) != len(others):
        return "".join(words) == "".join(others)
    pairs = zip(words, others, strict=True)
    return all(word == meant or _is_slip_of_word(word, meant, is_part=len(words) > 1) for word, meant in pairs)


def words_of(name: str) -> list[str]:
    """Splits a name at underscores and other signs, at capitals and digits; in lower case."""
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
    """Two neighbours changed places."""
    at = next((place for place in range(len(word)) if word[place] != meant[place]), 0)
    return len(word) >= _SHORT and word[:at] + word[at : at + 2][::-1] + word[at + 2 :] == meant


def _is_replaced(word: str, meant: str) -> bool:
    """One letter inside a long word is another: at its ends, it makes another word."""
    wrong = [at for at in range(len(word)) if word[at] != meant[at]]
    return len(word) >= _LONG and len(wrong) == 1 and 1 < wrong[0] < len(word) - 1


def _is_inserted(longer: str, shorter: str, *, may_end: bool) -> bool:
    """One letter is too much or missing: a doubled one, a plural's, one inside; `may_end`: also the last one."""
    at = next((place for place in range(len(shorter)) if longer[place] != shorter[place]), len(shorter))
    if longer[:at] + longer[at + 1 :] != shorter or len(shorter) < _SHORT:
        return False
    is_doubled = at > 0 and longer[at] == longer[at - 1]
    is_last = at == len(shorter)
    return is_doubled or 0 < at < len(shorter) or (is_last and (may_end or longer[at] == "s"))


def _has_two_slips(word: str, meant: str) -> bool:
    """Two letters inside a very long word are wrong, too much or missing."""
    is_long = min(len(word), len(meant)) >= _VERY_LONG and abs(len(word) - len(meant)) <= 2
    return is_long and word[:3] == meant[:3] and word[-2:] == meant[-2:] and _distance(word, meant) <= 2


def _distance(word: str, meant: str) -> int:
    """The number of letters to replace, insert or drop (Levenshtein 1966)."""
    row = list(range(len(meant) + 1))
    for number, letter in enumerate(word, start=1):
        previous, row = row, [number]
        for at, wanted in enumerate(meant):
            row.append(min(row[at] + 1, previous[at + 1] + 1, previous[at] + (letter != wanted)))
    return row[-1]
