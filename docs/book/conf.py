"""The book: `make book` has Sphinx make it of the course's notebooks, as they ran, and documents.

Its chapters are the links of docs/COURSE.md, evening by evening, in the order of its table.
"""

import json
import re
from pathlib import Path

from sphinx.application import Sphinx

project = "Sagas, run and written"
copyright = "the ecom authors"
extensions = ["myst_nb"]
root_doc = "docs/COURSE"
include_patterns = ["docs/*.md", "notebooks/**.ipynb"]
exclude_patterns = [".*", "build", "work", "tests", "ecom*", "benchmarks", "examples", "data"]
nb_execution_mode = "off"  # the outputs are the committed ones
myst_heading_anchors = 3
html_theme = "furo"
html_title = project
html_static_path = ["book.css"]
html_css_files = ["book.css"]
html_extra_path = ["index.html"]
html_copy_source = False
html_show_search_summary = False  # a page that was opened as a file may not fetch others

ROOT = Path(__file__).parents[2]
TOC = "\n```{{toctree}}\n:hidden:\n:caption: {}\n{}\n```\n"


def add_contents(_: Sphinx, name: str, source: list[str]) -> None:
    """Give the course a table of contents: evenings, solutions, documents."""
    if name != root_doc:
        return
    parts = {}
    for evening, cells in re.findall(r"^\| (\d\. [^|]+) \|(.+)", source[0], re.MULTILINE):
        parts[evening] = re.findall(r"\(([^\s()]+)\.(?:ipynb|md)\)", cells)
    solutions = sorted((ROOT / "notebooks/solutions").glob("*.ipynb"))
    parts["Solutions"] = [f"/notebooks/solutions/{path.stem}" for path in solutions]
    linked = {Path(entry).name for entries in parts.values() for entry in entries}
    documents = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
    parts["Documents"] = [it for it in documents if it not in {*linked, Path(root_doc).name}]
    source[0] += "".join(TOC.format(part, "\n".join(parts[part])) for part in parts)


def spell_out(_: Sphinx, name: str, source: list[str]) -> None:
    """JupyterLab has a view of JSON: a page shows its text. Pictures are given their words."""
    if not name.startswith("notebooks/"):
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        for shown in (output.get("data", {}) for output in cell.get("outputs", ())):
            if "application/json" in shown:
                shown["text/plain"] = json.dumps(shown.pop("application/json"), indent=1)
            if "image/png" in shown:
                words = "".join(shown["text/plain"])
                cell["metadata"]["mystnb"] = {"image": {"alt": words}}
    source[0] = json.dumps(notebook)


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_contents)
    app.connect("source-read", spell_out)
