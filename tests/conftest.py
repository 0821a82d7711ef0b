"""What every test may count on, however the tests were started."""

import signal

from hypothesis import settings

# A shell that starts the tests in the background has them ignore Ctrl-C; tests of it need it to arrive.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine under load is no reason for a property to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
