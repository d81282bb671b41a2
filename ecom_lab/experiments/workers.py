"""Runs side by side: each a process that dies with us, however we die."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO, Any

from ecom.errors import ShopError
from ecom_lab.experiments.book import DONE, FAILED
from ecom_lab.experiments.grid import Run
from ecom_lab.experiments.recipe import Recipe


class Workers:
    """Runs `recipe` in up to `number` processes; the executed notebooks stay in `folder`."""

    def __init__(self, recipe: Recipe, folder: Path, number: int) -> None:
        self._recipe, self._folder, self._number = recipe, folder.absolute(), number
        self._live: set[subprocess.Popen] = set()
        self._stopped = False
        self._lock = Lock()

    def each(self, runs: list[Run]) -> Iterator[tuple[Run, dict[str, Any]]]:
        """Each run, once it has ended, with its row for the book. Closed early, all are stopped."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(self._number) as pool:
            running = {pool.submit(self._row, run): run for run in runs}
            try:
                for future in as_completed(running):
                    yield running[future], future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()

    def _row(self, run: Run) -> dict[str, Any]:
        begun = time.monotonic()
        answer = self._answer(run)
        return {
            "key": run.key,
            "notebook": self._recipe.path.name,
            "code": run.code,
            "status": FAILED if "error" in answer else DONE,
            "seconds": round(time.monotonic() - begun, 3),
            "error": answer.get("error"),
            **run.parameters,
            **answer.get("result", {}),
        }

    def _answer(self, run: Run) -> dict[str, Any]:
        job = {
            "notebook": str(self._recipe.path.absolute()),
            "code": run.code,
            "into": str(self._folder / f"{run.key}.ipynb"),
            "given": run.given,
        }
        # Files, not pipes: nobody has to read along, and stdin stays open as long as we live.
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as log:
            with self._process(job, said, log) as process:
                status = process.wait()
            said.seek(0)
            log.seek(0)
            if status == 0:
                return json.loads(said.read().splitlines()[-1])
            words = log.read().decode(errors="replace").strip().splitlines()
            return {"error": f"its process ended with {status}: {words[-1] if words else ''}"}

    @contextmanager
    def _process(self, job: dict[str, Any], said: IO, log: IO) -> Iterator[subprocess.Popen]:
        command = [sys.executable, "-m", "ecom_lab.experiments.cell", json.dumps(job)]
        with self._lock:
            if self._stopped:
                raise ShopError("The sweep was stopped.")
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=said, stderr=log, start_new_session=True
            )  # a session of its own: Ctrl-C is for us, we tell the others
            self._live.add(process)
        try:
            yield process
        finally:
            with self._lock:
                self._live.discard(process)
            process.stdin.close()

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._live:
                process.stdin.close()
