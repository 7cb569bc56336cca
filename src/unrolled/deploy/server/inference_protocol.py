"""The Open Inference Protocol, version 2, over the same models."""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from unrolled import __version__
from unrolled.deploy.server.bodies import check_keys, check_name, check_texts, read_json
from unrolled.deploy.server.problems import Problem
from unrolled.deploy.server.serving import Serving

#: A folder holds one version of one model.
VERSION = "1"


def protocol_routes(serving: Serving) -> list[Route]:
    """The routes below ``/v2``."""

    async def server(request: Request) -> Response:
        return JSONResponse({"name": "unrolled", "version": __version__, "extensions": []})

    async def live(request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> Response:
        if not serving.ready:
            raise Problem(503, "the server is starting or stopping")
        return JSONResponse({"ready": True})

    async def model(request: Request) -> Response:
        name = _model_of(request, serving)
        labels = serving.predictors[name].labels
        return JSONResponse(
            {
                "name": name,
                "versions": [VERSION],
                "platform": "onnx_onnxruntime",
                "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
                "outputs": [
                    {"name": "label", "datatype": "BYTES", "shape": [-1]},
                    {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(labels)]},
                ],
            }
        )

    async def model_ready(request: Request) -> Response:
        name = _model_of(request, serving)
        if not serving.ready:
            raise Problem(503, "the server is starting or stopping")
        return JSONResponse({"name": name, "ready": True})

    async def infer(request: Request) -> Response:
        name = _model_of(request, serving)
        body = await read_json(request, serving.settings)
        check_keys(body, "id", "parameters", "inputs", "outputs")
        identity = check_name(body.get("id"), field="id")
        texts = check_texts(_data_of(body.get("inputs")), serving.settings, field="inputs[0].data")
        labels = serving.predictors[name].labels
        wanted = _wanted(body.get("outputs"))
        rows = await serving.predict(name, texts)
        outputs: list[dict[str, Any]] = [
            {
                "name": "label",
                "datatype": "BYTES",
                "shape": [len(texts)],
                "data": [labels[best] for best in rows.argmax(axis=1)],
            },
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": list(rows.shape),
                "data": rows.ravel().tolist(),
            },
        ]
        answer: dict[str, Any] = {"model_name": name, "model_version": VERSION}
        if identity is not None:
            answer["id"] = identity
        return JSONResponse({**answer, "outputs": [one for one in outputs if one["name"] in wanted]})

    routes = [Route("/v2", server), Route("/v2/health/live", live), Route("/v2/health/ready", ready)]
    for stem in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        routes += [
            Route(stem, model),
            Route(f"{stem}/ready", model_ready),
            Route(f"{stem}/infer", infer, methods=["POST"]),
        ]
    return routes


def _model_of(request: Request, serving: Serving) -> str:
    """The served model that the path means; 404 where there is none, or none of that version."""
    (name,) = serving.choose(request.path_params["name"])
    version = request.path_params.get("version", VERSION)
    if version != VERSION:
        raise Problem(404, f"there is no such version (got {version[:80]!r})", VERSION)
    return name


def _data_of(inputs: Any) -> list[Any]:
    """The one input's data, flat; 422 where it is none, or does not fit its shape."""
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise Problem(422, "inputs is not a list of one tensor", "one input named text")
    tensor = inputs[0]
    if tensor.get("name") != "text" or tensor.get("datatype") != "BYTES":
        raise Problem(422, "another input than the model's", "name text, datatype BYTES")
    shape, data = tensor.get("shape"), tensor.get("data")
    if not isinstance(data, list):
        raise Problem(422, "inputs[0].data is no list", "a list of texts")
    if any(isinstance(entry, list) for entry in data):
        if not all(isinstance(entry, list) and len(entry) == 1 for entry in data):
            raise Problem(422, "inputs[0].data is ragged", "one text to a row")
        data = [entry[0] for entry in data]
    sizes = shape if isinstance(shape, list) else []
    counts = all(type(size) is int and 0 <= size < 2**31 for size in sizes)
    if not counts or not 1 <= len(sizes) <= 2 or math.prod(sizes) != len(data):
        raise Problem(422, "inputs[0].shape does not fit the data", f"[{len(data)}]")
    return data


def _wanted(outputs: Any) -> set[str]:
    known = {"label", "probabilities"}
    if outputs is None:
        return known
    if not isinstance(outputs, list) or not all(
        isinstance(one, dict) and one.get("name") in ("label", "probabilities") for one in outputs
    ):
        raise Problem(422, "outputs names what the model does not have", "label, probabilities")
    return {one["name"] for one in outputs} or known
