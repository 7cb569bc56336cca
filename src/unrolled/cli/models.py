"""``unrolled models``: what the zoo holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from unrolled.models import ModelSpec


def models(
    name: Annotated[str | None, typer.Argument(help="One architecture, layer by layer.")] = None,
    vocabulary_size: Annotated[int, typer.Option(help="Token ids, padding included.")] = 10_000,
    length: Annotated[int, typer.Option(help="Steps per sequence.")] = 500,
    embedding_size: Annotated[int, typer.Option(help="Numbers per word.")] = 100,
    classes: Annotated[int, typer.Option(help="Number of labels.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """List the architectures, or one with its layers, shapes and parameters."""
    from unrolled.models import architectures

    zoo = architectures()
    names = [zoo.get(name).name] if name else list(zoo.names())
    wanted = {
        "vocabulary_size": vocabulary_size,
        "length": length,
        "embedding_size": embedding_size,
        "classes": classes,
    }
    documents = [_describe(architecture, wanted) for architecture in names]
    if as_json:
        print(json.dumps({"models": documents}, indent=1))
    elif name:
        _print_layers(documents[0])
    else:
        _print_zoo(documents)


def _describe(name: str, wanted: dict[str, int]) -> dict[str, Any]:
    from unrolled.models import architectures, make_spec, summarise
    from unrolled.models.build import outline_model

    entry = architectures().get(name)
    if not entry.spec.neural:
        # Its features are found in the data: there is nothing to count before it is fitted.
        spec: ModelSpec = make_spec(name, classes=wanted["classes"])
        return {
            "name": name,
            "summary": entry.summary,
            "parameters": None,
            "layers": [],
            "spec": spec.model_dump(),
        }
    spec = make_spec(name, **{key: value for key, value in wanted.items() if key in entry.spec.model_fields})
    network = outline_model(spec)
    layers = [
        {
            "name": row.name,
            "type": row.type,
            "output_shape": list(row.output_shape),
            "parameters": row.parameters,
        }
        for row in summarise(network)
    ]
    return {
        "name": name,
        "summary": entry.summary,
        "parameters": int(network.count_params()),
        "layers": layers,
        "spec": spec.model_dump(),
    }


def _print_zoo(documents: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True)
    table.add_column("parameters", justify="right")
    table.add_column("what it is")
    for document in documents:
        count = document["parameters"]
        table.add_row(document["name"], "from data" if count is None else f"{count:,}", document["summary"])
    Console().print(table)


def _print_layers(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{document['name']}[/]: {document['summary']}", highlight=False)
    if document["parameters"] is None:
        console.print("Its features come from the data it is fitted to: there is nothing to count before.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", no_wrap=True)
    table.add_column("output shape", no_wrap=True)
    table.add_column("parameters", justify="right")
    for layer in document["layers"]:
        shape = ", ".join("batch" if size is None else str(size) for size in layer["output_shape"])
        table.add_row(f"{layer['name']} ({layer['type']})", f"({shape})", f"{layer['parameters']:,}")
    table.add_section()
    table.add_row("total", "", f"{document['parameters']:,}")
    console.print(table)
