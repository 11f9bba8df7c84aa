"""Law: the table in docs/engines.md is that of PROVIDERS."""

from __future__ import annotations

import re
from pathlib import Path

from sewd_runtime.inference.providers import PROVIDERS

DOC = Path(__file__).parents[1] / "docs/engines.md"
SECTION = re.compile(r"(?<=<!-- providers -->\n).*(?=<!-- end of providers -->)", re.DOTALL)


def table() -> str:
    """Return the table of all rows except the two that have sections of their own."""
    lines = ["| provider | device | installed by | settings | precisions, the default first | run so far |"]
    lines.append("|---|---|---|---|---|---|")
    for name, row in PROVIDERS.items():
        if name in ("cpu", "openvino"):
            continue
        settings = ", ".join(f"`{key}={value}`" for key, value in row.settings.items()) or "its own"
        order = [*row.preferred, *(one for one in row.precisions or () if one not in row.preferred)]
        install = f"`sewd[{row.extra}]` ({row.package})" if row.extra else row.needs
        cells = (f"`{name}`", row.device, install, settings, ", ".join(order), row.run_on or "not run")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def test_the_table_is_of_the_rows() -> None:
    [found] = SECTION.findall(DOC.read_text(encoding="utf-8"))
    assert found == table()
