"""The ``tpo`` command of this environment: ``python -m tests.scale.command``."""

from tpo.cli.main import main

if __name__ == "__main__":
    main()
