"""TextGrad (the package ``textgrad``) on this package's policies: retries, n samples, a journal of calls.

    from tpo import load_policy
    from tpo.contrib.textgrad import PolicyEngine, import_textgrad

    tg = import_textgrad()
    with PolicyEngine(load_policy("tiny"), name="tiny", journal=Path("calls")) as engine:
        optimizer = tg.TGD([variable], engine=engine)

The other way round, TPO in TextGrad's words, is ``--method textgrad``: see :mod:`tpo.methods.textgrad`.
"""

from tpo.contrib.textgrad.engine import PolicyEngine
from tpo.contrib.textgrad.importing import import_textgrad

__all__ = ["PolicyEngine", "import_textgrad"]
