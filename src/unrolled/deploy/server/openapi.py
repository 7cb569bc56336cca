"""The OpenAPI document of the server."""

from __future__ import annotations

from typing import Any

from unrolled import __version__
from unrolled.deploy.server.settings import ServerSettings

_PROBLEMS = {
    "400": "Malformed",
    "403": "Another site's page",
    "408": "Sent too slowly",
    "413": "Too large",
    "415": "Not JSON",
    "421": "Another Host",
    "422": "Wrong type or over a limit",
    "503": "Busy; see Retry-After",
}


def describe_api(settings: ServerSettings) -> dict[str, Any]:
    """The document, with the limits of ``settings`` in its schemas."""
    text = {"type": "string", "maxLength": settings.max_characters}
    texts = {"type": "array", "items": text, "minItems": 1, "maxItems": settings.max_texts}
    name = {"type": "string", "description": "A served model; all of them where it is left out."}
    tensor = _object({"name": {"const": "text"}, "datatype": {"const": "BYTES"}, "shape": {}, "data": texts})
    paths: dict[str, Any] = {
        "/predict": _post("Labels and probabilities", _object({"texts": texts, "model": name}, "texts")),
        "/explain": _post(
            "What an answer rests on: words, reading, gradient",
            _object({"text": text, "model": name, "label": {"type": "string"}}, "text"),
        ),
        "/v2/models/{name}/infer": _post(
            "Open Inference Protocol",
            _object({"id": {"type": "string"}, "inputs": {"type": "array", "items": tensor}}, "inputs"),
        ),
    }
    for path, summary in {
        "/": "The page",
        "/models": "What is served",
        "/health/live": "Whether the process answers",
        "/health/ready": "Whether models are loaded and the server is not stopping",
        "/metrics": "Prometheus",
        "/openapi.json": "This document",
        "/v2": "Server metadata",
        "/v2/health/live": "Live",
        "/v2/health/ready": "Ready",
        "/v2/models/{name}": "Model metadata",
        "/v2/models/{name}/ready": "Model ready",
    }.items():
        paths[path] = {"get": {"summary": summary, "responses": {"200": {"description": "OK"}}}}
    for path, entry in paths.items():
        if "{name}" in path:
            parameter = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
            entry["parameters"] = [parameter]
            next(iter({**entry, "parameters": None}.values()))["responses"]["404"] = _problem("Unknown model")
    error = _object({key: {"type": "string"} for key in ("code", "message", "expected")})
    error["properties"]["status"] = {"type": "integer"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "unrolled", "version": __version__},
        "paths": paths,
        "components": {"schemas": {"Problem": _object({"error": error}, "error")}},
    }


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _problem(description: str) -> dict[str, Any]:
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {"description": description, "content": {"application/json": reference}}


def _post(summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    responses = {status: _problem(what) for status, what in _PROBLEMS.items()}
    responses["200"] = {"description": "OK"}
    responses["404"] = _problem("Unknown model")
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"post": {"summary": summary, "requestBody": body, "responses": responses}}
