"""The server's own routes: predictions, explanations, models, health, metrics, the page."""

from __future__ import annotations

import asyncio
from importlib import resources

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from unrolled.deploy.server.bodies import check_keys, check_name, check_text, check_texts, read_json
from unrolled.deploy.server.openapi import describe_api
from unrolled.deploy.server.problems import Problem
from unrolled.deploy.server.serving import Serving

_MEDIA = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def own_routes(serving: Serving) -> list[Route]:
    """The routes over ``serving``."""
    settings = serving.settings

    async def predict(request: Request) -> Response:
        body = await read_json(request, settings)
        check_keys(body, "texts", "model")
        texts = check_texts(body.get("texts"), settings)
        names = serving.choose(check_name(body.get("model"), field="model"))
        found = await asyncio.gather(*(serving.predict(name, texts) for name in names))
        results = []
        for name, rows in zip(names, found, strict=True):
            labels = serving.predictors[name].labels
            answers = [
                {
                    "label": labels[int(row.argmax())],
                    "probabilities": dict(zip(labels, row.tolist(), strict=True)),
                }
                for row in rows
            ]
            results.append({"model": name, "predictions": answers})
        return JSONResponse({"results": results})

    async def explain(request: Request) -> Response:
        body = await read_json(request, settings)
        check_keys(body, "text", "model", "label")
        text = check_text(body.get("text"), settings)
        label = check_name(body.get("label"), field="label")
        names = serving.choose(check_name(body.get("model"), field="model"))
        found = await asyncio.gather(*(serving.explain(name, text, label) for name in names))
        return JSONResponse({"results": found})

    async def models(request: Request) -> Response:
        return JSONResponse({"models": [serving.describe(name) for name in serving.predictors]})

    async def live(request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> Response:
        if not serving.ready:
            raise Problem(503, "the server is starting or stopping")
        return JSONResponse({"ready": True})

    async def openapi(request: Request) -> Response:
        return JSONResponse(describe_api(settings))

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(serving.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    files = {
        entry.name: entry.read_bytes()
        for entry in resources.files("unrolled.deploy.server").joinpath("page").iterdir()
        if entry.name.rpartition(".")[2] in _MEDIA
    }

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            raise Problem(404, "there is no such file")
        media = _MEDIA[name.rpartition(".")[2]]
        return Response(files[name], media_type=media, headers={"cache-control": "no-cache"})

    return [
        Route("/", page),
        Route("/static/{name}", page),
        Route("/predict", predict, methods=["POST"]),
        Route("/explain", explain, methods=["POST"]),
        Route("/models", models),
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route("/openapi.json", openapi),
        Route("/metrics", metrics),
    ]
