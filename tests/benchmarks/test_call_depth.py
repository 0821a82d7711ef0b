"""A policy call passes few functions between the method and the HTTP library."""

from __future__ import annotations

import pytest
from benchmarks.call_depth import longest_chain

MOST = 12


@pytest.mark.parametrize("sequences", [None, 8])
@pytest.mark.parametrize("takes_n", [True, False])
async def test_a_call_passes_at_most_twelve_functions(takes_n: bool, sequences: int | None) -> None:
    chain = await longest_chain(takes_n=takes_n, sequences=sequences)
    assert chain[-1] == "http/client.py:HttpClient.request"
    assert 5 < len(chain) <= MOST, "\n".join(chain)
    assert any("scheduler" in function for function in chain) == (sequences is not None)
