"""The application: models, routes and gate put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from unrolled.deploy.predictor import Predictor
from unrolled.deploy.server.gate import Gate
from unrolled.deploy.server.inference_protocol import protocol_routes
from unrolled.deploy.server.problems import Problem, on_problem
from unrolled.deploy.server.routes import own_routes
from unrolled.deploy.server.serving import Serving
from unrolled.deploy.server.settings import ServerSettings


def create_app(predictors: Sequence[Predictor], settings: ServerSettings | None = None) -> ASGIApp:
    """An ASGI application over ``predictors``; any ASGI server runs it.

    Raises:
        UsageError: no model, or one that knows no words.
    """
    return build_app(Serving(predictors, settings or ServerSettings()))


def build_app(serving: Serving) -> Gate:
    """The application over models that are there already."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await serving.start()
        yield
        await serving.stop()

    handlers = {Problem: on_problem, HTTPException: on_problem, Exception: on_problem}
    routes = [*own_routes(serving), *protocol_routes(serving)]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Gate(app, serving)
