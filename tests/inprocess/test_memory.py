"""A lack of memory is told from other failures."""

import pytest

from tpo.inprocess.memory import first_line, is_out_of_memory


class OutOfMemoryError(RuntimeError):
    """Named as torch's own."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("CUDA"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 5 bytes"), True),
        (RuntimeError("size mismatch"), False),
    ],
)
def test_memory_is_named_by_class_or_words(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_an_error_is_one_line() -> None:
    assert first_line(ValueError("\nfirst " + "x" * 400 + "\nsecond")) == "ValueError: first " + "x" * 294
    assert first_line(ValueError()) == "ValueError"
