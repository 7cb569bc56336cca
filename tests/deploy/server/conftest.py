"""Small exports, made once for a whole test session, and servers over them."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks.own_tables import write_table
from filelock import FileLock
from playwright.sync_api import Browser
from starlette.testclient import TestClient

from tests.deploy.server.browser import Visit, launch, visit
from unrolled.data import encode_dataset, generate_demo, load_dataset
from unrolled.deploy import Predictor, ServerSettings, create_app
from unrolled.types import Dataset

SMALL = {
    "embedding_size": 8,
    "units": 8,
    "filters": 8,
    "hidden_units": 8,
    "length": 60,
    "vocabulary_size": 2_000,
}
ORIGIN = "http://localhost"


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[str, Path]:
    """Folders of exports by name: lstm, cnn_gru and linear of two labels, and gru of three."""
    root = tmp_path_factory.getbasetemp()
    folder = (root if worker_id == "master" else root.parent) / "served"
    # Workers of one session share what the first of them trains.
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            building = tmp_path_factory.mktemp("in-the-making")
            reviews = generate_demo(train=600, validation=100, test=100, median_words=12)
            _export(reviews, ["linear", "lstm", "cnn_gru"], building / "demo", building / "exports")
            table = building / "three.csv"
            write_table(table, rows=300)
            three = load_dataset(str(table), text_column="text", label_column="label")
            _export(three, ["gru"], building / "three", building / "exports")
            building.rename(folder)
    return {path.name: path for path in (folder / "exports").iterdir()}


@pytest.fixture(scope="session")
def linear_run(exports: dict[str, Path]) -> Path:
    """The run that the export called linear was made from."""
    return exports["linear"].parents[1] / "demo" / "runs" / "linear-seed0"


def _export(dataset: Dataset, names: list[str], study: Path, ready: Path) -> None:
    from unrolled.deploy import export_run
    from unrolled.models import architectures
    from unrolled.training.study import plan_runs, prepare_study
    from unrolled.training.worker import train_run

    encoded, vocabulary = encode_dataset(dataset, protocol="standard")
    zoo = [architectures().get(name) for name in names]
    plans = plan_runs(zoo, encoded, "standard", num_seeds=1, epochs=3, model_settings=SMALL)
    prepared = prepare_study(study, encoded, vocabulary, "standard", plans)
    for plan in plans:
        train_run(prepared.run_folder(plan))
        export_run(prepared.run_folder(plan), ready / plan.model["architecture"])


@pytest.fixture(scope="session")
def predictors(exports: dict[str, Path]) -> dict[str, Predictor]:
    return {name: Predictor(folder) for name, folder in exports.items()}


@pytest.fixture(scope="module")
def make_client(predictors: dict[str, Predictor]) -> Iterator[Callable[..., TestClient]]:
    """Clients of applications in this process, by default over linear and lstm."""
    with contextlib.ExitStack() as stack:

        def make(*models: Predictor | str, **limits: object) -> TestClient:
            chosen = [
                predictors[one] if isinstance(one, str) else one for one in models or ("linear", "lstm")
            ]
            app = create_app(chosen, ServerSettings(**limits))  # type: ignore[arg-type]
            return stack.enter_context(TestClient(app, base_url=ORIGIN))

        yield make


@pytest.fixture(scope="module")
def client(make_client: Callable[..., TestClient]) -> TestClient:
    return make_client()


@dataclass
class Running:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    host: str
    port: int
    said: str = ""

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"

    def stop(self) -> int:
        """Ends it as a supervisor does; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(20)


@pytest.fixture(scope="module")
def start_server() -> Iterator[Callable[..., Running]]:
    """Starts ``unrolled serve`` with the given arguments on a free port and waits for its address.

    ``before`` is code that runs first in that process, to slow a model down or to shorten a limit.
    """
    with contextlib.ExitStack() as stack:

        def start(*arguments: object, before: str = "") -> Running:
            code = f"import sys\nfrom unrolled.cli.__main__ import main\n{before}\nsys.exit(main())"
            command = [sys.executable, "-c", code, "serve", *map(str, arguments), "--port", "0"]
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            assert process.stderr is not None
            lines = []
            for line in process.stderr:
                lines.append(line)
                if found := re.search(r"http://([\d.]+):(\d+) serves", line):
                    return Running(process, found[1], int(found[2]), "".join(lines))
            raise AssertionError(f"the server ended: {''.join(lines)}")

        yield start


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from launch()


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Running], exports: dict[str, Path]) -> Running:
    """Three recurrent models and a linear one; two label sets."""
    return start_server(exports["lstm"], exports["linear"], exports["cnn_gru"], exports["gru"])


@pytest.fixture
def open_page(browser: Browser, server: Running) -> Iterator[Callable[..., Visit]]:
    """Opens the page; at the end nothing may have gone wrong, and nothing may have left the server.

    Failures that a test brings about are given as ``allow``, parts of what Chromium says of them.
    """
    visits: list[tuple[Visit, tuple[str, ...]]] = []

    def go(address: str = "", allow: tuple[str, ...] = (), **options: Any) -> Visit:
        found = visit(browser, address or server.address, **options)
        visits.append((found, allow))
        return found

    yield go
    for found, allow in visits:
        said = [line for line in found.console if not any(part in line for part in allow)]
        found.page.context.close()
        assert said == []
        assert found.requests
        assert [url for url in found.requests if not url.startswith(f"{found.address}/")] == []
