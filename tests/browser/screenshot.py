"""Takes docs/screenshot.png: JupyterLab with an order that nobody can fulfil, run and drawn.

From the top of the project: `python -m ecom.broker run python tests/browser/screenshot.py`.
"""

import io
import tempfile
from pathlib import Path

from lab import Lab, Notebook, browsing, until
from PIL import Image

ROOT = Path(__file__).parents[2]
NOTEBOOK = "02_run_out_of_stock.ipynb"
SIZE = {"width": 1360, "height": 1120}
# What is above it may be laid out only when it comes into view, and push it out again.
IN_VIEW = """it => { it.style.scrollMarginBottom = "16px"; it.scrollIntoView({block: "end"});
                    return it.getBoundingClientRect().bottom < window.innerHeight - 40 }"""


def main() -> None:
    """Run the notebook, show what comes above the first picture, and save what is seen."""
    with tempfile.TemporaryDirectory() as folder:
        notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
        with browsing() as browser, Lab(Path(folder) / "lab", notebooks).running() as lab:
            page = browser.new_page(viewport=SIZE)
            notebook = Notebook(lab, page, NOTEBOOK)
            notebook.run_all()
            notebook.saved()
            picture = page.query_selector(".jp-OutputArea-output img")
            until(lambda: picture.evaluate(IN_VIEW))
            page.mouse.move(0, 0)  # off the list of files, which would light up
            seen = page.screenshot()
            notebook.shut_down()
    small = Image.open(io.BytesIO(seen)).convert("RGB").quantize(255)
    small.save(ROOT / "docs" / "screenshot.png", optimize=True)


if __name__ == "__main__":
    main()
