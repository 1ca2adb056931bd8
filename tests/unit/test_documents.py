"""What the documents name is there: links, anchors, files, tests."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HIDDEN = {".venv", "build", "data"}
PAGES = sorted(
    page.relative_to(ROOT)
    for page in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in HIDDEN for part in page.relative_to(ROOT).parts)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
#: `tests/unit/test_x.py`, `tests/unit/test_x.py::test_y`, `scripts/setup`, `sos/drive`
NAMED = re.compile(r"`((?:sos|tests|scripts|conf|systemd|packaging|\.ci)/[\w./-]*)(?:::(\w+))?[^`]*`")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_pages_of_a_newcomer_are_there() -> None:
    names = {"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "S3_SUPPORT.md"}
    assert names <= {str(page) for page in PAGES}
    assert "Apache License" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text()
    for link in LINK.findall(text):
        if re.match(r"https?://|mailto:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_files_and_tests_that_a_page_names_exist(page: Path) -> None:
    for name, test in NAMED.findall((ROOT / page).read_text()):
        path = ROOT / name
        assert path.exists(), name
        assert not test or re.search(rf"def {test}\(", path.read_text()), f"{name}::{test}"


def test_the_layers_of_the_page_are_those_that_are_checked() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    section = (ROOT / "ARCHITECTURE.md").read_text().partition("\n## Layers\n")[2].partition("\n## ")[0]
    shown = re.findall(r"`sos/(\w+)`", "\n".join(line.split(" | ")[0] for line in section.replace(r"\|", "/").splitlines()))
    assert shown == [name for layer in contract["layers"] for name in layer.split(" | ")]
