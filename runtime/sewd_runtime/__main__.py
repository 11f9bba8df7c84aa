"""``python -m sewd_runtime``: the ``sewd`` command."""

import sys

from sewd_runtime.cli import main

if __name__ == "__main__":
    sys.exit(main())
