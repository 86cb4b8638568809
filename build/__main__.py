"""`python -m build`."""

import sys

from build.cli import main

if __name__ == "__main__":
    sys.exit(main())
