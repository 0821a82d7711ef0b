"""The reference implementation's command line, on top of this package: ``python run.py --help``."""

import sys

try:
    from tpo.contrib.reference import main
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is not installed here: run `make install`, then .venv/bin/python run.py ...")

if __name__ == "__main__":
    sys.exit(main())
