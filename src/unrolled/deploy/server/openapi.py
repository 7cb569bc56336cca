"""The OpenAPI document of the server."""

from __future__ import annotations

import re
from typing import Any

from unrolled import __version__
from unrolled.deploy.server.settings import ServerSettings

_PROBLEMS = {
    "400": "Malformed",
    "403": "Another site's page",
    "404": "Unknown model",
    "408": "Sent too slowly",
    "413": "Too large",
    "415": "Not JSON",
    "421": "Another Host",
    "422": "Wrong type or over a limit",
    "503": "Busy; see Retry-After",
}
_ANY = ("403", "421")
_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"


def describe_api(settings: ServerSettings) -> dict[str, Any]:
    """The document, with the limits of ``settings`` in its schemas."""
    text = {"type": "string", "maxLength": settings.max_characters}
    texts = {"type": "array", "items": text, "minItems": 1, "maxItems": settings.max_texts}
    name = {"type": "string", "description": "A served model; all of them where it is left out."}
    words = {"type": "string"}
    tensor = _object(
        {
            "name": {"const": "text"},
            "datatype": {"const": "BYTES"},
            "shape": {"type": "array"},
            "data": texts,
        },
        "name",
        "datatype",
        "shape",
        "data",
        closed=False,
    )
    inputs = {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1}
    infer = _object(
        {"id": words, "parameters": {"type": "object"}, "inputs": inputs, "outputs": {"type": "array"}},
        "inputs",
    )
    paths: dict[str, Any] = {
        "/predict": _post("Labels and probabilities", _object({"texts": texts, "model": name}, "texts")),
        "/explain": _post(
            "What an answer rests on: words, reading, gradient",
            _object({"text": text, "model": name, "label": words}, "text"),
        ),
    }
    for stem in (_MODEL, _VERSION):
        paths[f"{stem}/infer"] = _post("Open Inference Protocol: predict", infer, "ProtocolProblem")
    for path, summary in {
        "/": "The page",
        "/static/{name}": "Files of the page",
        "/models": "What is served",
        "/health/live": "Whether the process answers",
        "/health/ready": "Whether models are loaded and the server is not stopping",
        "/metrics": "Prometheus",
        "/openapi.json": "This document",
        "/v2": "Open Inference Protocol: the server",
        "/v2/health/live": "Open Inference Protocol: live",
        "/v2/health/ready": "Open Inference Protocol: ready",
        _MODEL: "Open Inference Protocol: a model",
        f"{_MODEL}/ready": "Open Inference Protocol: a model is ready",
        _VERSION: "Open Inference Protocol: a model's version",
        f"{_VERSION}/ready": "Open Inference Protocol: a model's version is ready",
    }.items():
        possible = [*_ANY, *(["404"] if "{" in path else []), *(["503"] if path.endswith("ready") else [])]
        paths[path] = _get(summary, path, possible)
    for path, entry in paths.items():
        if names := re.findall(r"\{(\w+)\}", path):
            entry["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ]
    error = _object(dict.fromkeys(("code", "message", "expected"), words) | {"status": {"type": "integer"}})
    return {
        "openapi": "3.1.0",
        "info": {"title": "unrolled", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {
                "Problem": _object({"error": error}, "error"),
                "ProtocolProblem": _object({"error": words}, "error"),
            }
        },
    }


def _object(properties: dict[str, Any], *required: str, closed: bool = True) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": not closed,
    }


def _problem(description: str, schema: str) -> dict[str, Any]:
    reference = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {"description": description, "content": {"application/json": reference}}


def _get(summary: str, path: str, possible: list[str]) -> dict[str, Any]:
    kind = "ProtocolProblem" if path.startswith("/v2") else "Problem"
    responses = {status: _problem(_PROBLEMS[status], kind) for status in possible}
    return {"get": {"summary": summary, "responses": {"200": {"description": "OK"}, **responses}}}


def _post(summary: str, schema: dict[str, Any], kind: str = "Problem") -> dict[str, Any]:
    responses = {status: _problem(what, kind) for status, what in _PROBLEMS.items()}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {
        "post": {
            "summary": summary,
            "requestBody": body,
            "responses": {"200": {"description": "OK"}, **responses},
        }
    }
