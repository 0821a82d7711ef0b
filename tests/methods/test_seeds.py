"""Seeds derive from a call's place."""

from hypothesis import given
from hypothesis import strategies as st

from tpo.methods.seeds import MIN_STRIDE, SEED_RANGE, base_seed
from tpo.types import Phase, Scope

PHASES: list[Phase] = ["sample", "loss", "gradient", "update"]


@given(st.integers(), st.text(), st.integers(0, 50), st.sampled_from(PHASES), st.integers(1, 5000))
def test_a_base_seed_leaves_room_for_its_samples(
    run: int, query: str, step: int, phase: Phase, n: int
) -> None:
    seed = base_seed(run, Scope(query, step, phase), n)
    assert seed >= 0
    assert seed + n - 1 < SEED_RANGE
    assert seed % max(n, MIN_STRIDE) == 0 or seed % MIN_STRIDE == 0


def test_every_part_of_a_place_counts() -> None:
    places = [
        (7, Scope("q0", 1, "loss")),
        (8, Scope("q0", 1, "loss")),
        (7, Scope("q1", 1, "loss")),
        (7, Scope("q0", 2, "loss")),
        (7, Scope("q0", 1, "gradient")),
        (7, Scope("q0", 1, "loss", branch=1)),
        (7, Scope("q0", 1, "loss", ordinal=1)),
        (7, Scope("q0", 1, "loss", ordinal=2)),
        (7, Scope("q0", 1, "loss", branch=1, ordinal=1)),
        (7, Scope("q0", 1, "loss", branch=2, ordinal=1)),
    ]
    assert len({base_seed(run, scope, 5) for run, scope in places}) == len(places)


def test_the_same_place_has_the_same_seed_whatever_n() -> None:
    scope = Scope("q0", 0, "sample")
    assert base_seed(7, scope, 1) == base_seed(7, scope, 5) == base_seed(7, scope, 1024)


def test_the_role_of_a_call_does_not_count() -> None:
    assert base_seed(7, Scope("q0", 1, "loss", role="critic"), 1) == base_seed(7, Scope("q0", 1, "loss"), 1)


def test_a_query_id_with_a_lone_surrogate_has_a_seed() -> None:
    assert base_seed(7, Scope("\ud800", 0, "sample"), 1) >= 0
