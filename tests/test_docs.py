"""Law: every relative link of every page leads somewhere, and every page is reached from docs/index.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT)
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/**/models/*/README.md"))
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
NAMED = re.compile(r"`([a-z_.]*/[\w./-]*|\w+\.(?:py|toml))`")
ROOTS = (ROOT, ROOT / "runtime/sewd_runtime", ROOT / "export/sewd_export", ROOT / "export")
LONGEST_ARCHITECTURE = 1300
"""Words, as `wc -w` counts them."""


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    broken = []
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        is_there = target.exists() and (not anchor or anchor in anchors(target))
        if not is_there:
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(ROOT / page) == []


def test_broken_links_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b` c\n[1](#a-b-c) [2](page.md#a-b-c) [3](#no) [4](no.md) `[5](no.md)`\n")
    assert broken_links(page) == ["#no", "no.md"]


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs/index.md"
    listed = {(index.parent / link).resolve() for link in LINK.findall(index.read_text(encoding="utf-8"))}
    pages = {path.resolve() for path in ROOT.glob("docs/**/*.md")} - {index.resolve()}
    assert pages - listed == set()


def test_the_architecture_is_read_in_ten_minutes() -> None:
    words = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").split()
    assert len(words) <= LONGEST_ARCHITECTURE


def test_contributing_names_files_that_exist() -> None:
    named = NAMED.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    missing = [name for name in named if not any((root / name).exists() for root in ROOTS)]
    assert len(named) > 30 and missing == []
