"""Texts as sets of word shingles, as docs/checks.md defines them for near-duplicates.

A word is a run of letters and digits in lower case; a shingle is five words; a text of fewer
words is one shingle of all of them; prompt and responses are cut apart and their shingles put
together. Scripts without spaces are left out: the sentences measured here are English.
"""

import re
import unicodedata

WIDTH = 5
WORD = re.compile(r"[^\W_]+")
COLUMNS = ["prompt", "chosen", "rejected"]


def words(text: str) -> list[str]:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return WORD.findall(text.lower())


def shingles(text: str) -> list[bytes]:
    found = words(text)
    if not found:
        found = [c for c in text if not c.isspace()]
    if not found:
        return []
    if len(found) <= WIDTH:
        return [" ".join(found).encode()]
    return [" ".join(found[i : i + WIDTH]).encode() for i in range(len(found) - WIDTH + 1)]


def of_pair(texts) -> list[bytes]:
    return [shingle for text in texts for shingle in shingles(text)]
