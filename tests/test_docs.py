"""The pages: their lines, their links, the places of their tables, and the names in docs/architecture.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from saidcodec.evaluation.page import PLACE

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *(
        ROOT / "docs" / name
        for name in (
            "architecture.md",
            "archives.md",
            "frames.md",
            "many.md",
            "regions.md",
            "results.md",
            "training.md",
        )
    ),
    ROOT / "archive_spec.md",
]
COLUMNS = 110
PLACES = {
    "README.md": {"photographs", "conditions"},
    "archives.md": {"archives"},
    "regions.md": {"regions"},
    "results.md": {
        "conditions",
        "multimnist",
        "multidsprites",
        "clevr",
        "public",
        "cid22",
        "kodak",
        "maps",
        "kinds",
        "near",
        "curve",
        "parts",
        "speed",
    },
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_fit_and_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    long = [line for line in text.splitlines() if len(line) > COLUMNS and not line.startswith("|")]
    assert not long
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("name", PLACES)
def test_the_tables_have_their_places(name: str) -> None:
    page = next(page for page in PAGES if page.name == name)
    assert set(PLACE.findall(page.read_text())) == PLACES[name]


def test_the_functions_of_the_architecture_exist() -> None:
    page = ROOT / "docs" / "architecture.md"
    named = re.findall(r"`([^`\n]+)`", re.sub(r"^    .*$", "", page.read_text(), flags=re.MULTILINE))
    sources = "".join(
        path.read_text() for path in (ROOT / "saidcodec").rglob("*") if path.suffix in (".py", ".c", ".h")
    )
    for name in named:
        last = re.split(r"[./ ]", name.rstrip("/"))[-1]
        if name.endswith((".py", ".c", ".h", ".md", ".sh", "/")) or name.startswith(".ci"):
            places = (ROOT / name, ROOT / "saidcodec" / name, ROOT / "saidcodec" / "residual" / name)
            assert any(place.exists() for place in places), name
        elif re.fullmatch(r"\w+", last):
            room = ROOT / "saidcodec" / last
            there = room.exists() or room.with_suffix(".py").exists()
            assert there or re.search(rf"\b{last}\b", sources), name


def test_both_front_pages_say_the_same_of_the_picture() -> None:
    pages = (ROOT / "README.md", ROOT / "docs" / "index.md")
    said = {*re.findall(r"!\[(.*)\]\((?:docs/)?glimpses.png\)", "".join(map(Path.read_text, pages)))}
    assert len(said) == 1
