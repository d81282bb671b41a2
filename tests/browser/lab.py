"""JupyterLab as its user meets it: a server of our own, a real browser, menus that are clicked."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, Request, sync_playwright
from seeing import in_whose_environment

SECONDS = 240  # for anything: a browser without a graphics card is slow, and others may be at work
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-checker-imaging",  # else what is decoded late is white until then
)
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false"},
    "apputils-extension/themes": {"theme": "JupyterLab Dark"},
}
DIRECTORIES = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "IPYTHONDIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
)
RUN = re.compile(r"\[\d+\]:")  # beside a cell that has been run
PICTURES = ".jp-OutputArea-output:not(.jp-RenderedJSON) :is(img, svg)"  # JSON has icons
MARK = "ECOM_TESTED_LAB"  # in the environment of all that the server starts


def chromium() -> str | None:
    """The browser of this machine, if it has one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def until(condition: Callable[[], object], seconds: float = SECONDS) -> object:
    """What `condition` says once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        time.sleep(0.1)
    return found


class Lab:
    """A JupyterLab server for copies of notebooks that were not run yet, with nobody's settings."""

    def __init__(self, folder: Path, notebooks: list[Path]) -> None:
        self.notebooks, self._home = folder / "notebooks", folder / "home"
        self.notebooks.mkdir(parents=True)
        for path in notebooks:
            (self.notebooks / path.name).write_text(json.dumps(_not_run(path)))
        (folder / "data").symlink_to(notebooks[0].parents[1] / "data")
        self._token = secrets.token_hex(16)
        self._environment = {name: str(self._home / name) for name in DIRECTORIES}
        for name, values in SETTINGS.items():
            path = self._home / f"JUPYTERLAB_SETTINGS_DIR/@jupyterlab/{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))

    @contextmanager
    def running(self) -> Iterator["Lab"]:
        """The server's life. It is stopped as Ctrl-C in its terminal would."""
        command = [
            sys.executable,
            "-m",
            "jupyter",
            "lab",
            "--no-browser",
            "--allow-root",
            "--port=0",
            f"--notebook-dir={self.notebooks}",
            f"--IdentityProvider.token={self._token}",
        ]
        environment = os.environ | self._environment | {MARK: self._token}
        with open(self._home / "log", "w") as log:
            self.server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            runtime = self._home / "JUPYTER_RUNTIME_DIR"
            (info,) = until(lambda: list(runtime.glob("jpserver-*.json")))
            self.url = until(lambda: info.read_text() and json.loads(info.read_text())["url"])
            yield self
        finally:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(SECONDS)

    def address(self, notebook: str) -> str:
        """Where the browser finds a notebook."""
        return f"{self.url}lab/tree/{notebook}?reset&token={self._token}"

    def kernels(self) -> list[str]:
        """The ids of the kernels that the server knows of."""
        return [kernel["id"] for kernel in self._ask("GET", "api/kernels").json()]

    def clear(self) -> None:
        """Shut down all kernels, with what they have started."""
        for kernel in self.kernels():
            self._ask("DELETE", f"api/kernels/{kernel}")

    def _ask(self, method: str, path: str) -> httpx.Response:
        headers = {"Authorization": f"token {self._token}"}
        return httpx.request(method, self.url + path, headers=headers, timeout=SECONDS)

    def processes(self) -> list[str]:
        """The command lines of all that was started from here and still runs."""
        return [" ".join(command) for command in in_whose_environment(MARK, self._token)]


def _not_run(path: Path) -> dict:
    """A notebook without its outputs: what is seen in the end was drawn in the browser."""
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    return notebook


class Notebook:
    """One notebook in the browser."""

    def __init__(self, lab: Lab, page: Page, name: str) -> None:
        self._lab, self.page, self.path = lab, page, lab.notebooks / name
        page.set_default_timeout(SECONDS * 1000)
        page.goto(lab.address(name))
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.wait_for_selector(
            "text=/^Python 3 .* \\| Idle$/"
        )  # in the status bar: it has a kernel

    def choose(self, menu: str, command: str) -> None:
        """Click an entry of a menu."""
        self.page.click(f".lm-MenuBar-itemLabel >> text={menu}")
        self.page.click(f".lm-Menu-item[data-command='{command}']")

    def run_all(self) -> None:
        """Run All Cells, and wait for one after the other: a whole notebook may take minutes. What
        is folded is opened before: a folded cell shows no number when it has run."""
        self.choose("View", "notebook:show-all-cell-code")
        self.choose("Run", "runmenu:run-all")
        prompts = self.page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt")
        until(lambda: prompts.count() == len(self._code_cells()))  # a busy page adds them later
        errors = self.page.locator("[data-mime-type='application/vnd.jupyter.error']")
        for prompt in prompts.all():
            until(lambda it=prompt: errors.count() or RUN.fullmatch(it.text_content()))
        assert errors.all_inner_texts() == []

    def saved(self) -> list[dict]:
        """The code cells as they are on disk after File, Save; JupyterLab's own saving, now and
        then, may have come before."""
        with self.page.expect_request(self._writes) as begun:
            self.choose("File", "docmanager:save")
        assert begun.value.response().ok
        return self._code_cells()

    def _code_cells(self) -> list[dict]:
        cells = json.loads(self.path.read_text())["cells"]
        return [cell for cell in cells if cell["cell_type"] == "code"]

    def _writes(self, request: Request) -> bool:
        """Whether the notebook is being written by it."""
        return request.method == "PUT" and request.url.split("?")[0].endswith(self.path.name)

    def pictures(self) -> list[bytes]:
        """What is seen where outputs are pictures, once they are decoded: a PNG of each."""
        pictures = self.page.locator(PICTURES).all()
        for picture in pictures:
            picture.evaluate("it => it.decode && it.decode()")
        return [picture.screenshot() for picture in pictures]

    def shut_down(self) -> None:
        """Shut the kernel down, and wait until the server has no other."""
        self.choose("Kernel", "kernelmenu:shutdown")
        until(lambda: not self._lab.kernels())


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser without a screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()
