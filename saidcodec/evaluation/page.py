"""Tables in a Markdown page, kept by scripts: what stands between <!-- NAME --> and <!-- end -->."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

PLACE = re.compile(r"<!-- (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(page: str, tables: Mapping[str, str]) -> str:
    """The page with the tables of those names in their places; places of other names stay as they are.

    Raises KeyError where a table has no place.
    """
    if lost := tables.keys() - PLACE.findall(page):
        raise KeyError(f"The page has no place for {', '.join(sorted(lost))}.")

    def place(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- {name} -->\n{tables[name]}\n<!-- end -->" if name in tables else found[0]

    return PLACE.sub(place, page)


def fill(path: Path, tables: Mapping[str, str]) -> None:
    """``filled`` for a file."""
    path.write_text(filled(path.read_text(), tables))


def fill_pages(paths: Sequence[Path], tables: Mapping[str, str]) -> None:
    """Each table goes to every page that has a place for it.  Raises KeyError where none has."""
    places = {path: set(PLACE.findall(path.read_text())) for path in paths}
    if lost := tables.keys() - set().union(*places.values()):
        raise KeyError(f"No page has a place for {', '.join(sorted(lost))}.")
    for path, names in places.items():
        fill(path, {name: table for name, table in tables.items() if name in names})
