"""Run by test_length_control.py in a process of its own: prints how often a hub that hangs up was asked."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

from tests.experiments.bench.pairwise import alpaca_set
from tpo.experiments.bench.pairwise.alpaca_package import length_controlled


def preferences() -> list[dict[str, object]]:
    """Preferences over the made-up set, for every second row the model's."""
    names = {"generator_1": "baseline", "generator_2": "model"}
    pairs = zip(alpaca_set.made_up_rows(), alpaca_set.made_up_outputs(), strict=True)
    return [
        {"output_1": row["output"], "output_2": output, "preference": 1.1 + 0.8 * (n % 2), **names}
        for n, (row, output) in enumerate(pairs)
    ]


def main(home: str, port: int, *, cached: bool) -> None:
    """Ask for the number twice; print each outcome behind the connections that there were until then."""
    connections: list[object] = []
    server = socket.create_server(("127.0.0.1", port))

    def hang_up() -> None:
        while True:
            connection, address = server.accept()
            connections.append(address)
            connection.close()

    threading.Thread(target=hang_up, daemon=True).start()
    if cached:
        alpaca_set.make_cache(Path(home))
    outcomes = []
    for _ in range(2):
        try:
            rate, _ = length_controlled(preferences())
            outcome = "a rate" if 0 < rate < 100 else "nonsense"
        except OSError:
            outcome = "OSError"
        outcomes.append(f"{len(connections)} {outcome}")
    print(*outcomes, sep=", ")  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), cached=sys.argv[3] == "cached")
