"""The table of bad requests: each case with its one right answer, on every route it concerns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from unrolled.deploy.server.gate import HEADERS
from unrolled.deploy.server.problems import CODES
from unrolled.deploy.server.settings import ServerSettings

INFER = "/v2/models/linear-seed0/infer"
LIMITS = ServerSettings()
JSON = {"content-type": "application/json"}
GET_ROUTES = (
    "/",
    "/static/page.js",
    "/models",
    "/health/live",
    "/health/ready",
    "/openapi.json",
    "/metrics",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/linear-seed0",
    "/v2/models/linear-seed0/ready",
)
POST_ROUTES = ("/predict", "/explain", INFER)
GOOD: dict[str, dict[str, Any]] = {
    "/predict": {"texts": ["a fine film"]},
    "/explain": {"text": "a fine film"},
    INFER: {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a fine film"]}]},
}


def infer(*texts: Any, **changes: Any) -> dict[str, Any]:
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)} | changes
    return {"inputs": [tensor]}


def check_problem(answer: Any, status: int) -> dict[str, Any]:
    """The one shape of every failure; returns what it says."""
    assert answer.status_code == status, answer.text
    assert ("retry-after" in answer.headers) == (status == 503)
    error: Any = answer.json()["error"]
    if isinstance(error, str):
        assert answer.url.path.startswith("/v2")
        return {"message": error}
    assert set(error) == {"status", "code", "message", "expected"}
    assert (error["status"], error["code"]) == (status, CODES[status])
    assert error["message"]
    found: dict[str, Any] = error
    return found


@pytest.mark.parametrize("path", POST_ROUTES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"texts": ["a"',
        b'{"texts": ["a"], "texts": ["b"]}',
        b'{"texts": [NaN]}',
        b'{"texts": Infinity}',
        b'{"texts": ["\xff"]}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 5_000,
        b"{} {}",
        b"\x00",
        "{}".encode("utf-16"),
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_malformed_bodies_get_400(client: TestClient, path: str, body: bytes) -> None:
    check_problem(client.post(path, content=body, headers=JSON), 400)


WRONG: list[tuple[str, Any]] = [
    *(("/predict", body) for body in ([], "text", 7, None, True, 1.5)),
    ("/predict", {}),
    ("/predict", {"texts": "one text"}),
    ("/predict", {"texts": None}),
    ("/predict", {"texts": []}),
    ("/predict", {"texts": [None]}),
    ("/predict", {"texts": ["a", 3]}),
    ("/predict", {"texts": [["a"]]}),
    ("/predict", {"texts": {"0": "a"}}),
    ("/predict", {"texts": ["\ud800"]}),
    ("/predict", {"texts": ["a"], "model": 3}),
    ("/predict", {"texts": ["a"], "modle": "lstm"}),
    ("/predict", {"texts": ["a"] * (LIMITS.max_texts + 1)}),
    ("/predict", {"texts": ["é" * (LIMITS.max_characters + 1)]}),
    ("/explain", {}),
    ("/explain", {"text": ["a"]}),
    ("/explain", {"text": "\udfff"}),
    ("/explain", {"text": "a", "label": 1}),
    ("/explain", {"text": "a", "label": "no such label"}),
    ("/explain", {"text": "a", "texts": ["a"]}),
    ("/explain", {"text": "a" * (LIMITS.max_characters + 1)}),
    (INFER, {}),
    (INFER, {"inputs": []}),
    (INFER, {"inputs": [7]}),
    (INFER, {"inputs": infer("a")["inputs"] * 2}),
    (INFER, infer("a", name="other")),
    (INFER, infer("a", datatype="FP32")),
    (INFER, infer("a", datatype=[])),
    (INFER, infer("a", shape=[2])),
    (INFER, infer("a", shape=[-1])),
    (INFER, infer("a", shape=[True])),
    (INFER, infer("a", shape=[1, 1, 1])),
    (INFER, infer("a", shape="1")),
    (INFER, infer("a", shape=[10**30, 0])),
    (INFER, infer("a", data="a")),
    (INFER, infer(["a", "b"])),
    (INFER, infer(["a"], "b")),
    (INFER, infer(3)),
    (INFER, infer()),
    (INFER, infer("a") | {"id": 3}),
    (INFER, infer("a") | {"outputs": [{"name": "logits"}]}),
    (INFER, infer("a") | {"outputs": "label"}),
    (INFER, infer("a") | {"outputs": [{"name": ["label"]}]}),
    (INFER, infer(*["a"] * (LIMITS.max_texts + 1))),
]


@pytest.mark.parametrize(
    ("path", "body"), WRONG, ids=[f"{path} {json.dumps(body)[:50]}" for path, body in WRONG]
)
def test_wrong_types_and_limits_get_422(client: TestClient, path: str, body: Any) -> None:
    check_problem(client.post(path, content=json.dumps(body), headers=JSON), 422)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {"texts": ["é" * LIMITS.max_characters, "", "\x00", " \n", "🎬" * 500, "ﷺ ‏שלום"]}),
        ("/predict", {"texts": ["a"] * LIMITS.max_texts}),
        ("/explain", {"text": ""}),
        ("/explain", {"text": "🎬 zzz e\u0301 שלום"}),
        ("/explain", {"text": "a" * LIMITS.max_characters}),
        (INFER, infer(["a"], ["b"], shape=[2, 1])),
        (INFER, infer("a") | {"id": "7", "parameters": {"x": 1}, "outputs": [{"name": "label"}]}),
    ],
)
def test_odd_but_right_bodies_are_answered(client: TestClient, path: str, body: Any) -> None:
    assert client.post(path, json=body).status_code == 200


@pytest.mark.parametrize("path", POST_ROUTES)
@pytest.mark.parametrize(
    "media",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"],
)
def test_other_media_get_415(client: TestClient, path: str, media: str) -> None:
    answer = client.post(path, content=json.dumps(GOOD[path]), headers={"content-type": media})
    check_problem(answer, 415)


def test_compressed_bodies_get_415(client: TestClient) -> None:
    check_problem(client.post("/predict", content=b"x", headers=JSON | {"content-encoding": "gzip"}), 415)


@pytest.mark.parametrize("media", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_taken_however_it_is_spelled(client: TestClient, media: str) -> None:
    body = json.dumps(GOOD["/predict"])
    assert client.post("/predict", content=body, headers={"content-type": media}).status_code == 200


@pytest.mark.parametrize("path", POST_ROUTES)
def test_too_large_gets_413_when_the_length_is_told(client: TestClient, path: str) -> None:
    answer = client.post(path, content=b" " * (LIMITS.max_body_bytes + 1), headers=JSON)
    check_problem(answer, 413)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", POST_ROUTES)
def test_too_large_gets_413_when_no_length_is_told(client: TestClient, path: str) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(LIMITS.max_body_bytes // 2**16 + 1):
            yield b" " * 2**16

    check_problem(client.post(path, content=parts(), headers=JSON), 413)


def test_a_body_just_within_the_limit_is_read(client: TestClient) -> None:
    body = json.dumps(GOOD["/predict"]).encode()
    full = body + b" " * (LIMITS.max_body_bytes - len(body))
    assert client.post("/predict", content=full, headers=JSON).status_code == 200


@pytest.mark.parametrize("told", ["-1", "x", "1e3", "9" * 40])
def test_a_length_that_is_none_is_refused(client: TestClient, told: str) -> None:
    answer = client.post("/predict", content=b"{}", headers=JSON | {"content-length": told})
    assert check_problem(answer, 413)


def test_unknown_models_get_404_and_the_nearest_name(client: TestClient) -> None:
    for path, body in (("/predict", GOOD["/predict"]), ("/explain", GOOD["/explain"])):
        error = check_problem(client.post(path, json=body | {"model": "lstm-seed1"}), 404)
        assert "lstm-seed0" in error["expected"]
    for path in ("/v2/models/x", "/v2/models/x/ready"):
        check_problem(client.get(path), 404)
    check_problem(client.post("/v2/models/x/infer", json=GOOD[INFER]), 404)


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/predict/", "/static/", "/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/x.js"],
)
def test_unknown_routes_get_404(client: TestClient, path: str) -> None:
    check_problem(client.get(path), 404)


@pytest.mark.parametrize("path", [*GET_ROUTES, *POST_ROUTES])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "WRONG"])
def test_other_methods_get_405(client: TestClient, path: str, method: str) -> None:
    answer = client.request(method, path)
    error = check_problem(answer, 405)
    assert method in error["message"]
    allowed = {"POST"} if path in POST_ROUTES else {"GET", "HEAD"}
    assert set(answer.headers["allow"].replace(" ", "").split(",")) == allowed
    assert "access-control-allow-origin" not in answer.headers


def request(client: TestClient, path: str, headers: dict[str, str]) -> Any:
    if path in POST_ROUTES:
        return client.post(path, json=GOOD[path], headers=headers)
    return client.get(path, headers=headers)


@pytest.mark.parametrize("path", [*GET_ROUTES, *POST_ROUTES, "/nothing"])
@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil.example:80", "127.0.0.1@evil.example", ""]
)
def test_other_hosts_get_421_on_every_route(client: TestClient, path: str, host: str) -> None:
    check_problem(request(client, path, {"host": host}), 421)


@pytest.mark.parametrize("path", [*GET_ROUTES, *POST_ROUTES, "/nothing"])
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://localhost.evil.example", "http://localhost:81", "localhost", ""],
)
def test_other_origins_get_403_on_every_route(client: TestClient, path: str, origin: str) -> None:
    check_problem(request(client, path, {"origin": origin}), 403)


@pytest.mark.parametrize("path", [*GET_ROUTES, *POST_ROUTES])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "127.0.0.1"},
        {"host": "LOCALHOST:8000", "origin": "http://localhost:8000"},
        {"host": "[::1]:8000", "origin": "http://[::1]:8000"},
    ],
)
def test_own_hosts_and_origins_pass_and_carry_the_headers(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    answer = request(client, path, headers)
    assert answer.status_code == 200
    for name, value in HEADERS:
        assert answer.headers[name.decode()] == value.decode()
    assert answer.headers["cache-control"] == ("no-cache" if path in ("/", "/static/page.js") else "no-store")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_failures_carry_the_headers_too(client: TestClient) -> None:
    for answer in (client.get("/nothing"), client.get("/", headers={"host": "evil.example"})):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_a_name_that_was_allowed_passes(make_client: Callable[..., TestClient]) -> None:
    client = make_client("linear", allowed_hosts=("models.example",))
    headers = {"host": "Models.example", "origin": "https://models.example"}
    assert request(client, "/predict", headers).status_code == 200
    check_problem(request(client, "/predict", headers | {"host": "other.example"}), 421)


def test_listening_everywhere_allows_no_host_by_itself(make_client: Callable[..., TestClient]) -> None:
    client = make_client("linear", host="0.0.0.0")
    check_problem(client.get("/", headers={"host": "0.0.0.0"}), 421)
    assert client.get("/", headers={"host": "localhost"}).status_code == 200


def test_a_fault_of_the_server_tells_nothing(
    make_client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client("linear")

    def fail(*arguments: object) -> None:
        raise ValueError("/home/somebody/secret")

    monkeypatch.setattr("unrolled.deploy.server.serving.TextExplainer.explain", fail)
    answer = client.post("/explain", json=GOOD["/explain"])
    check_problem(answer, 500)
    assert "secret" not in answer.text
    assert "secret" in caplog.text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = ("texts", "text", "model", "label", "inputs", "outputs", "id", "parameters", "name", "shape", "data")
objects = st.dictionaries(st.sampled_from(fields) | st.text(max_size=5), values, max_size=4)
bodies = st.one_of(
    st.binary(max_size=60),
    values.map(lambda value: json.dumps(value).encode()),
    objects.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda value: json.dumps({"inputs": [value]}).encode(), objects),
    st.builds(
        lambda texts: json.dumps({"texts": texts}).encode(), st.lists(st.text(max_size=30), max_size=3)
    ),
)


@settings(max_examples=150)
@given(path=st.sampled_from(POST_ROUTES), body=bodies, media=st.sampled_from([JSON, JSON, JSON, {}]))
@example(path=INFER, body=b'{"inputs": [{"name": {}, "shape": [1e400]}]}', media=JSON)
@example(path="/predict", body=b'{"texts": ["\\ud83d"], "model": "\\ud83d"}', media=JSON)
@example(path="/explain", body=b'{"text": "a", "label": "\\ud83d"}', media=JSON)
@example(path="/explain", body=b'{"text": "a", "\\ud83d": "b"}', media=JSON)
def test_no_body_makes_the_server_fail(client: TestClient, path: str, body: bytes, media: Any) -> None:
    answer = client.post(path, content=body, headers=media)
    assert answer.status_code in (200, 400, 404, 415, 422), answer.text
    answer.json()


@settings(max_examples=60)
@given(
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    headers=st.dictionaries(
        st.sampled_from(["host", "origin", "content-length", "content-encoding", "accept", "range"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.strip),
        max_size=3,
    ),
)
def test_no_path_or_header_makes_the_server_fail(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    answer = client.get("http://localhost/" + path.replace("#", ""), headers=headers)
    assert answer.status_code < 500, answer.text
