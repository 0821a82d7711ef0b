"""API keys in other people's texts."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

MASK = "[key]"
SHORTEST_PART = 8
"""Characters of a key that are no coincidence in a text."""
LONGEST_TEXT = 10_000
"""Characters of a text that are looked through; the rest is cut."""


def without_key(text: str, key: str) -> str:
    """Return *text* without *key*, encoded or in part, as servers quote it; a long text is cut."""
    text = text[:LONGEST_TEXT]
    for form in _forms(key):
        text = _without_parts(text, form)
    return text


def _forms(key: str) -> list[str]:
    """Return the key, as it stands in a URL, and in base64 wherever it begins in a longer text."""
    forms = [key, quote(key, safe=""), quote(key, safe="").lower()]
    for encode in (b64encode, urlsafe_b64encode):
        for offset in range(3):
            whole = encode(b"\0" * offset + key.encode()).decode().rstrip("=")
            forms.append(whole[-(-4 * offset // 3) : -1])
    return forms


def _without_parts(text: str, form: str) -> str:
    """Return *text* without the whole *form*, and without parts of it where it is long enough to tell."""
    if len(form) < 2 * SHORTEST_PART:
        return text.replace(form, MASK)
    kept: list[str] = []
    place = 0
    while place < len(text):
        end = place + SHORTEST_PART
        if text[place:end] not in form or end > len(text):
            kept.append(text[place])
            place += 1
            continue
        while end < len(text) and text[place : end + 1] in form:
            end += 1
        kept.append(MASK)
        place = end
    return "".join(kept)
