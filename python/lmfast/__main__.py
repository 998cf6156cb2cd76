"""`python -m lmfast` is the program `lmfast`."""

import sys

from lmfast.cli.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
