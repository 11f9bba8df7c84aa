"""A kind of input whose files say what becomes of them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from random import Random

from fuzz.mutants import Mutant
from sewd_runtime.errors import BundleError

MAKE = "PLANTED_IN_MAKE"
"""A variable of the environment: a fault of ``make``."""


def make(random: Random) -> Mutant:
    _do(os.environ.get(MAKE, "none"))
    return Mutant(files={"fault": b"%d" % random.randrange(1_000)}, note="planted")


def attempt(folder: Path) -> None:
    _do((folder / "fault").read_text())


def _do(fault: str) -> None:
    if fault == "named":
        raise BundleError("refused")
    if fault == "wrong":
        raise KeyError("no name of ours")
    if fault == "crash":
        os.abort()
    if fault == "hang":
        time.sleep(600)
    if fault == "slow":
        while time.process_time() < 3:
            pass
    if fault == "memory":
        bytearray(8 << 30)
