"""A key never comes back in what a server says, whole, in part or encoded."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpo.http.failures import Server
from tpo.http.masking import without_key

KEY = "sk-Zu4/9+tR7=hidden-key-0123"


@pytest.mark.parametrize(
    "quoted",
    [
        KEY,
        quote(KEY, safe=""),
        b64encode(KEY.encode()).decode(),
        b64encode(f":{KEY}".encode()).decode(),
        b64encode(f"me:{KEY}".encode()).decode(),
        b64encode(f"{KEY}:".encode()).decode(),
        KEY[:12] + "****" + KEY[-9:],
        KEY[5:],
    ],
)
def test_a_key_is_masked_whole_in_part_and_encoded(quoted: str) -> None:
    said = Server("http://host/v1", KEY).quote(f"Incorrect key {quoted}: see the page")
    assert said.startswith("Incorrect key ")
    assert said.endswith(": see the page")
    assert "[key]" in said
    kept = said.removeprefix("Incorrect key ").removesuffix(": see the page").replace("[key]", "")
    assert not any(kept[i : i + 8] in quoted for i in range(len(kept) - 7))


@given(st.text(max_size=200))
def test_texts_without_the_key_stay_as_they_are(text: str) -> None:
    assert without_key(text, KEY) == text


def test_of_a_short_key_only_the_whole_is_told_from_other_words() -> None:
    assert without_key("sk-hidden, hidden", "sk-hidden") == "[key], hidden"
