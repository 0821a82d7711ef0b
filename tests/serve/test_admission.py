"""Places of requests: waiting, running, left."""

import pytest

from tpo.serve.admission import Admission
from tpo.serve.api_error import ApiError
from tpo.serve.metrics import Metrics
from tpo.serve.request import Limits


async def test_a_place_that_was_never_used_is_free_again_and_is_left_once() -> None:
    admission = Admission(Limits(running=1, waiting=0), Metrics())
    place = admission.admit()
    with pytest.raises(ApiError) as refused:
        admission.admit()
    assert (refused.value.status, refused.value.retry_after) == (429, 5)
    await place.leave()
    await place.leave()
    assert admission.waiting == 0
    async with admission.admit().running():
        assert (admission.waiting, admission.running) == (0, 1)
    assert (admission.waiting, admission.running) == (0, 0)
