"""A server that cannot keep up: queues, deadlines, shared passes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from starlette.testclient import TestClient

from tests.deploy.server.test_http import check_problem
from unrolled.deploy import Predictor, ServerSettings
from unrolled.deploy.server.app import build_app
from unrolled.deploy.server.serving import MAX_EXPLANATIONS, Serving
from unrolled.types import FloatArray

TEXTS = ["a fine film", "a dull film", "dreadful", "lovely"]


class Held(Predictor):
    """A model that answers when it is let go; remembers the size of each pass."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.let_go, self.began = threading.Event(), threading.Semaphore(0)
        self.passes: list[int] = []

    def predict_proba(self, texts: Any) -> FloatArray:
        if texts != ["warm up"]:
            self.passes.append(len(texts))
            self.began.release()
            assert self.let_go.wait(60)
        return super().predict_proba(texts)


@pytest.fixture
def held(exports: dict[str, Path]) -> Iterator[Held]:
    model = Held(exports["linear"])
    yield model
    model.let_go.set()


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(24) as found:
        yield found
        if "held" in request.fixturenames:
            request.getfixturevalue("held").let_go.set()


def ask(client: TestClient, pool: ThreadPoolExecutor, *texts: str) -> Future[httpx.Response]:
    return pool.submit(client.post, "/predict", json={"texts": list(texts)})


def wait_for(client: TestClient, waiting: int) -> None:
    line = f'unrolled_queue_texts{{model="linear-seed0"}} {waiting}.0'
    while line not in client.get("/metrics").text:
        pass


def test_a_full_queue_answers_503_and_keeps_what_it_took(
    make_client: Callable[..., TestClient],
    held: Held,
    pool: ThreadPoolExecutor,
    predictors: dict[str, Predictor],
) -> None:
    client = make_client(held, max_queue=3)
    first = ask(client, pool, TEXTS[0])
    held.began.acquire()
    taken = [ask(client, pool, text) for text in TEXTS[1:]]
    wait_for(client, 3)
    for path, body in (("/predict", {"texts": ["b"]}), ("/explain", {"text": "b"})):
        answer = client.post(path, json=body)
        check_problem(answer, 503)
        assert answer.headers["retry-after"] == "1"
    refused = client.post("/v2/models/linear-seed0/infer", json={})
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert client.get("/health/ready").status_code == 200
    held.let_go.set()
    found = [future.result().json()["results"][0]["predictions"][0] for future in (first, *taken)]
    assert [one["label"] for one in found] == predictors["linear"].predict(TEXTS)
    assert "unrolled_refused_total 3.0" in client.get("/metrics").text


def test_a_request_that_does_not_fit_gets_503(
    make_client: Callable[..., TestClient], held: Held, pool: ThreadPoolExecutor
) -> None:
    client = make_client(held, max_queue=3)
    ask(client, pool, "a")
    held.began.acquire()
    ask(client, pool, "b", "c")
    wait_for(client, 2)
    check_problem(client.post("/predict", json={"texts": ["d", "e"]}), 503)


def test_a_small_queue_takes_a_large_request_when_it_is_empty(
    make_client: Callable[..., TestClient],
) -> None:
    answer = make_client("linear", max_queue=1).post("/predict", json={"texts": TEXTS})
    assert answer.status_code == 200


@pytest.mark.parametrize(("max_batch", "passes"), [(32, [1, 4]), (3, [1, 3, 1]), (1, [1, 1, 1, 1, 1])])
def test_what_waits_shares_a_pass(
    make_client: Callable[..., TestClient],
    held: Held,
    pool: ThreadPoolExecutor,
    max_batch: int,
    passes: list[int],
) -> None:
    client = make_client(held, max_batch=max_batch)
    futures = [ask(client, pool, "a")]
    held.began.acquire()
    futures += [ask(client, pool, text) for text in TEXTS]
    wait_for(client, 4)
    held.let_go.set()
    assert [future.result().status_code for future in futures] == [200] * 5
    assert held.passes == passes


def test_batched_answers_belong_to_their_questions(
    make_client: Callable[..., TestClient], pool: ThreadPoolExecutor, predictors: dict[str, Predictor]
) -> None:
    client = make_client("lstm", max_wait_ms=20)
    texts = [f"{' '.join(TEXTS[: number % 5])} wonderful {number}" for number in range(40)]
    futures = [ask(client, pool, text) for text in texts]
    expected = predictors["lstm"].predict_proba(texts)
    for future, row in zip(futures, expected, strict=True):
        found = future.result().json()["results"][0]["predictions"][0]["probabilities"]
        assert list(found.values()) == pytest.approx(row.tolist(), abs=1e-5)


def test_an_answer_that_takes_too_long_gets_503(make_client: Callable[..., TestClient], held: Held) -> None:
    client = make_client(held, deadline_seconds=0.1)
    error = check_problem(client.post("/predict", json={"texts": ["a"]}), 503)
    assert "too long" in error["message"]
    # What nobody waits for any more is not computed.
    check_problem(client.post("/predict", json={"texts": ["b"]}), 503)
    held.let_go.set()
    assert client.post("/predict", json={"texts": ["c"]}).status_code == 200
    assert len(held.passes) == 2


def test_explanations_have_a_limit_of_their_own(
    make_client: Callable[..., TestClient], held: Held, pool: ThreadPoolExecutor
) -> None:
    client = make_client(held)
    ask(client, pool, "a")
    held.began.acquire()
    futures = [
        pool.submit(client.post, "/explain", json={"text": "a fine film"})
        for _ in range(MAX_EXPLANATIONS + 3)
    ]
    refused = 0
    while refused < 3:
        refused = sum(future.done() and future.result().status_code == 503 for future in futures)
    held.let_go.set()
    statuses = [future.result().status_code for future in futures]
    assert sorted(statuses) == [200] * MAX_EXPLANATIONS + [503] * 3


def test_a_pass_that_fails_fails_alone(
    make_client: Callable[..., TestClient], exports: dict[str, Path]
) -> None:
    class Fragile(Predictor):
        def predict_proba(self, texts: Any) -> FloatArray:
            if "break" in texts:
                raise ValueError("broken")
            return super().predict_proba(texts)

    client = make_client(Fragile(exports["linear"]))
    check_problem(client.post("/predict", json={"texts": ["break"]}), 500)
    assert client.post("/predict", json={"texts": ["a"]}).status_code == 200


def test_a_busy_server_turns_away_before_it_reads(held: Held) -> None:
    serving = Serving([held], ServerSettings(max_queue=1))
    app = build_app(serving)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
    }
    scope |= {"headers": [(b"host", b"localhost")], "http_version": "1.1", "scheme": "http"}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def scenario() -> None:
        await serving.start()
        waiting = [asyncio.create_task(serving.predict("linear-seed0", ["a"]))]
        await asyncio.to_thread(held.began.acquire)
        waiting.append(asyncio.create_task(serving.predict("linear-seed0", ["b"])))
        await asyncio.sleep(0)
        await app(scope, receive, send)  # type: ignore[arg-type]
        held.let_go.set()
        await asyncio.gather(*waiting)
        await serving.stop()

    asyncio.run(scenario())
    assert sent[0]["status"] == 503


def test_a_server_that_stops_is_not_ready(make_client: Callable[..., TestClient], held: Held) -> None:
    client = make_client(held)
    serving = client.app._serving  # type: ignore[attr-defined]
    serving.ready = False
    for path in ("/health/ready", "/v2/health/ready", "/v2/models/linear-seed0/ready"):
        assert client.get(path).status_code == 503
    assert client.get("/health/live").status_code == 200
