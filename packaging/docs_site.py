"""Hooks of mkdocs: pages that lie outside docs/, and links to what is not on the site.

The pages of docs/ are written to be read in the repository, too, so that their links lead to files of it.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
# Files of the repository → pages.
OUTSIDE = {
    "bitstream_spec.md": "format.md",
    "archive_spec.md": "archive_format.md",
    "CHANGELOG.md": "changes.md",
}
README = "README.md"  # the page "Quick start" says the same


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files of the repository lead to their pages."""
    for source, target in {**OUTSIDE, README: "index.md"}.items():
        markdown = re.sub(rf"\]\((\.\./)?{re.escape(source)}(#[^)]*)?\)", rf"]({target}\2)", markdown)
    return markdown
