"""What machines read: the Open Inference Protocol, the OpenAPI document, the metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tests.deploy.server.conftest import ORIGIN
from unrolled.deploy import Predictor, ServerSettings
from unrolled.deploy.server.inference_protocol import protocol_routes
from unrolled.deploy.server.openapi import describe_api
from unrolled.deploy.server.routes import own_routes
from unrolled.deploy.server.run import KEEP_ALIVE_SECONDS
from unrolled.deploy.server.serving import MAX_EXPLANATIONS, Serving

STEMS = ("/v2/models/gru-seed0", "/v2/models/gru-seed0/versions/1")
TEXTS = ["a wonderful film about music", "dreadful and dull", "it was usable"]


@pytest.fixture(scope="module")
def client(make_client: Callable[..., TestClient]) -> TestClient:
    return make_client("gru", "linear")


def infer(*texts: str, **more: Any) -> dict[str, Any]:
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
    return {"inputs": [tensor], **more}


def test_server_metadata_and_health(client: TestClient) -> None:
    found = client.get("/v2").json()
    assert set(found) == {"name", "version", "extensions"}
    assert found["name"] == "unrolled"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}


@pytest.mark.parametrize("stem", STEMS)
def test_model_metadata(client: TestClient, stem: str) -> None:
    found = client.get(stem).json()
    assert (found["name"], found["versions"], found["platform"]) == ("gru-seed0", ["1"], "onnx_onnxruntime")
    assert found["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    kinds = {one["name"]: (one["datatype"], one["shape"]) for one in found["outputs"]}
    assert kinds == {"label": ("BYTES", [-1]), "probabilities": ("FP32", [-1, 3])}
    assert client.get(f"{stem}/ready").json() == {"name": "gru-seed0", "ready": True}


@pytest.mark.parametrize("stem", STEMS)
def test_inference_answers_as_the_predictor_does(
    client: TestClient, predictors: dict[str, Predictor], stem: str
) -> None:
    found = client.post(f"{stem}/infer", json=infer(*TEXTS, id="seven")).json()
    assert (found["model_name"], found["model_version"], found["id"]) == ("gru-seed0", "1", "seven")
    outputs = {one["name"]: one for one in found["outputs"]}
    expected = predictors["gru"].predict_proba(TEXTS)
    shape = outputs["probabilities"]["shape"]
    assert shape == [3, 3]
    np.testing.assert_allclose(np.reshape(outputs["probabilities"]["data"], shape), expected, atol=1e-5)
    assert outputs["label"]["shape"] == [3]
    assert outputs["label"]["data"] == predictors["gru"].predict(TEXTS)


def test_outputs_can_be_chosen_and_an_id_is_optional(client: TestClient) -> None:
    body = infer("fine", outputs=[{"name": "label", "parameters": {}}])
    found = client.post(f"{STEMS[0]}/infer", json=body).json()
    assert [one["name"] for one in found["outputs"]] == ["label"]
    assert "id" not in found


def test_a_column_of_texts_is_one_text_to_a_row(client: TestClient) -> None:
    tensor = {"name": "text", "shape": [2, 1], "datatype": "BYTES", "data": [["a"], ["b"]]}
    found = client.post(f"{STEMS[0]}/infer", json={"inputs": [tensor]}).json()
    assert found["outputs"][0]["shape"] == [2]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v2/models/nothing", None, 404),
        ("GET", "/v2/models/gru-seed0/versions/2", None, 404),
        ("POST", "/v2/models/gru-seed0/versions/2/infer", infer("a"), 404),
        ("POST", "/v2/models/gru-seed0/infer", {"inputs": []}, 422),
        ("PUT", "/v2", None, 405),
        ("GET", "/v2/nothing", None, 404),
    ],
)
def test_failures_have_the_shape_of_the_protocol(
    client: TestClient, method: str, path: str, body: Any, status: int
) -> None:
    answer = client.request(method, path, json=body)
    assert answer.status_code == status
    found = answer.json()
    assert list(found) == ["error"]
    assert isinstance(found["error"], str)
    foreign = client.request(method, path, json=body, headers={"host": "evil.example"})
    assert (foreign.status_code, type(foreign.json()["error"])) == (421, str)


def test_every_route_is_in_the_document_and_the_other_way_round(predictors: dict[str, Predictor]) -> None:
    serving = Serving([predictors["linear"]], ServerSettings())
    routes = {
        (route.path, method.lower())
        for route in [*own_routes(serving), *protocol_routes(serving)]
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {
        (path, method)
        for path, entry in describe_api(serving.settings)["paths"].items()
        for method in entry
        if method != "parameters"
    }
    assert described == routes


def test_every_route_of_the_document_answers(client: TestClient) -> None:
    names = {"{name}": "gru-seed0", "{version}": "1"}
    for path, entry in client.get("/openapi.json").json()["paths"].items():
        filled = "/static/page.css" if path == "/static/{name}" else path
        for name, value in names.items():
            filled = filled.replace(name, value)
        for method in set(entry) - {"parameters"}:
            answer = client.request(method.upper(), filled, content=b"{")
            assert answer.status_code == (200 if method == "get" else 415), filled


def test_the_document_is_valid(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert set(document["info"]) >= {"title", "version"}
    for path, entry in document["paths"].items():
        assert path.startswith("/")
        declared = [(one["name"], one["in"], one["required"]) for one in entry.get("parameters", [])]
        assert declared == [(name, "path", True) for name in re.findall(r"\{(\w+)\}", path)]
        for method in set(entry) - {"parameters"}:
            for status, response in entry[method]["responses"].items():
                assert re.fullmatch(r"[1-5]\d\d", status)
                assert isinstance(response["description"], str)
            if method == "post":
                check_schema(entry[method]["requestBody"]["content"]["application/json"]["schema"])
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        found = document
        for step in reference.split("/"):
            found = found[step]
        check_schema(found)


def check_schema(schema: dict[str, Any]) -> None:
    """The few words of JSON Schema that the document uses, used rightly."""
    kinds = {"object", "array", "string", "integer"}
    assert schema.get("type") in kinds or "const" in schema
    assert set(schema.get("required", [])) <= set(schema.get("properties", {}))
    for inner in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        check_schema(inner)


def test_limits_in_the_document_are_those_that_hold(make_client: Callable[..., TestClient]) -> None:
    client = make_client("linear", max_texts=2, max_characters=5)
    schema = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]
    texts = schema["content"]["application/json"]["schema"]["properties"]["texts"]
    assert (texts["maxItems"], texts["items"]["maxLength"]) == (2, 5)
    for body, status in ((["12345"] * 2, 200), (["a"] * 3, 422), (["123456"], 422)):
        assert client.post("/predict", json={"texts": body}).status_code == status


def metrics_of(client: TestClient) -> dict[tuple[str, tuple[str, ...]], float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_count_what_was_asked(make_client: Callable[..., TestClient]) -> None:
    client = make_client("linear")
    client.post("/predict", json={"texts": ["a", "b", "c"]})
    client.post("/predict", json={"texts": []})
    client.get("/v2/models/linear-seed0")
    client.get("/nothing")
    client.get("/models", headers={"host": "evil.example"})
    found = metrics_of(client)
    assert found["unrolled_requests_total", ("/predict", "200")] == 1
    assert found["unrolled_requests_total", ("/predict", "422")] == 1
    assert found["unrolled_requests_total", ("/v2/models/{name}", "200")] == 1
    assert found["unrolled_requests_total", ("other", "404")] == 1
    assert found["unrolled_requests_total", ("other", "421")] == 1
    assert found["unrolled_texts_total", ("linear-seed0",)] == 3
    assert found["unrolled_request_seconds_count", ("/predict",)] == 2
    assert found["unrolled_queue_texts", ("linear-seed0",)] == 0
    assert found["unrolled_requests_in_flight", ()] == 1  # this very one


def test_paths_of_strangers_make_no_series(make_client: Callable[..., TestClient]) -> None:
    client = make_client("linear")
    sizes = []
    for number in range(5):
        client.get(f"/nothing/{number}")
        client.get(f"/v2/models/nothing-{number}")
        sizes.append(len(metrics_of(client)))
    assert sizes[1:-1] == sizes[2:]
    assert ORIGIN not in client.get("/metrics").text


def test_models_say_what_they_are(client: TestClient) -> None:
    gru, linear = client.get("/models").json()["models"]
    assert (gru["name"], gru["labels"], gru["recurrent"]) == (
        "gru-seed0",
        ["negative", "neutral", "positive"],
        True,
    )
    assert (linear["architecture"], linear["recurrent"]) == ("linear", False)


def test_an_explanation_agrees_with_predictions(client: TestClient) -> None:
    """Switching a word off on the page must do what its figure says."""
    text = "a wonderful film, yet dull"
    (found,) = client.post("/explain", json={"text": text, "model": "gru-seed0", "label": "positive"}).json()[
        "results"
    ]
    assert [text[word["start"] : word["end"]] for word in found["words"]] == [
        "a",
        "wonderful",
        "film",
        "yet",
        "dull",
    ]
    without = [text[: word["start"]] + " " + text[word["end"] :] for word in found["words"]]
    (answers,) = client.post("/predict", json={"texts": [text, *without], "model": "gru-seed0"}).json()[
        "results"
    ]
    shares = np.array([one["probabilities"]["positive"] for one in answers["predictions"]])
    log_odds = np.log(shares / (1 - shares))
    falls = log_odds[0] - log_odds[1:]
    np.testing.assert_allclose([word["contribution"] for word in found["words"]], falls, atol=1e-4)
    assert found["reading_by"] == "state"
    assert found["reading"][-1] == pytest.approx([5, shares[0]], abs=1e-5)


def test_the_document_for_readers_names_every_route_metric_and_limit(client: TestClient) -> None:
    text = (Path(__file__).parents[3] / "docs" / "serving.md").read_text("utf-8")
    for path in client.get("/openapi.json").json()["paths"]:
        short = re.sub(r"/versions/\{version\}.*", "/versions/1", path)
        short = re.sub(r"^/v2/models/\{name\}(?=/ready|/infer)", "…", short)
        assert re.search(rf"[` ]{re.escape(short)}`", text), path
    for family in text_string_to_metric_families(client.get("/metrics").text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}`" in text or family.name.endswith("_created")
    limits = ServerSettings()
    for said in (
        f"texts to a request | {limits.max_texts} ",
        f"characters to a text | {limits.max_characters:,} ",
        f"a model | {limits.max_queue}, ",
        f"explanations under way | {MAX_EXPLANATIONS} ",
        f"an answer | {limits.deadline_seconds:g} s",
        f"a body | {limits.receive_seconds:g} s",
        f"Ctrl-C | {limits.shutdown_seconds:g} s",
        f"an idle connection | {KEEP_ALIVE_SECONDS} s",
    ):
        assert said in text, said
    assert limits.max_body_bytes == 2**20
