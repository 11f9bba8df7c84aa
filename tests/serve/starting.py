"""The ``sewd`` command with other limits: starting.py '{"idle_s": 1}' serve ..."""

import json
import sys
from functools import partial
from typing import Any, cast

from sewd_runtime.cli import main
from sewd_serve import command

if __name__ == "__main__":
    limits = partial(command.Limits, **json.loads(sys.argv[1]))
    cast(Any, command).Limits = limits
    sys.exit(main(sys.argv[2:]))
