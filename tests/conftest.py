"""What every test may count on, however the tests were started."""

import signal

from hypothesis import HealthCheck, settings

# A shell that starts the tests in the background has them ignore Ctrl-C; tests of it need it to arrive.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Neither a loaded machine nor luck decides a result: examples are derived from the test itself.
# ``--hypothesis-profile=random`` draws others.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("random", PATIENT)
settings.register_profile("repeatable", PATIENT, derandomize=True, database=None, print_blob=True)
settings.load_profile("repeatable")
