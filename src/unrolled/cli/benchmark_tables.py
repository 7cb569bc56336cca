"""The tables of ``unrolled benchmark``, from its document alone."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

Document = dict[str, Any]
ROOMY = 100
"""Columns of a terminal from which there is room between those of a table."""


def print_benchmark(document: Document) -> None:
    """Prints what was measured, on which machine, and by which command."""
    console = Console(highlight=False, markup=False)
    printers = {"inference": _print_inference, "scaling": _print_scaling}
    printers.get(document["mode"], _print_training)(console, document)
    machine = document["machine"]
    console.print(
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 1e9:.0f} GB; "
        f"{machine['system']}, Python {machine['python']}, keras {machine['packages']['keras']}, "
        f"jax {machine['packages']['jax']}. {_threads(document)}",
        style="dim",
    )
    console.print(document["command"], style="dim", soft_wrap=True)


def _threads(document: Document) -> str:
    if document.get("device"):
        return ""
    ours = document["threads"]
    sentence = f"Ours: {ours} thread{'s' if ours > 1 else ''}."
    peers = any(
        side["name"].startswith(("keras", "torch"))
        for model in document["models"]
        for side in model.get("sides", model.get("ways", ()))
    )
    return f"{sentence} Peers: threads as each library chooses." if peers else sentence


def _table(console: Console, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=console.width < ROOMY)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    return table


def _print_training(console: Console, document: Document) -> None:
    rates, data = document["rates"], document["dataset"]
    console.print(
        f"An epoch of {data['name']} ({data['sequences']:,} sequences, batches of {document['batch']}), "
        f"{document['protocol']} protocol, from {document['steps']} steps in each of {document['rounds']} "
        "rounds."
    )
    on_device = bool(document["device"])
    where = f" on {rates['threads']} thread{'s' if rates['threads'] > 1 else ''}"
    console.print(
        f"{document['device'] or 'The machine'}: {rates['flops_per_second'] / 1e9:,.0f} GFLOP/s, "
        f"{rates['bytes_per_second'] / 1e9:,.1f} GB/s{'' if on_device else where}."
    )
    notes: dict[str, None] = {}
    plus = False
    for model in document["models"]:
        floor = model["floor_seconds"]
        work = model["floor"]
        console.print()
        console.print(
            f"{model['name']}: {model['parameters']:,} parameters. Floor {_short(floor)} s: "
            f"{work['flops'] / 1e9:,.0f} GFLOP, {work['adam_bytes'] / 1e9:.1f} GB.",
            style="bold",
        )
        table = _table(console, "side", "s/epoch", "range", "×floor", "MB", "ready s", "loss", "differs")
        for side in model["sides"]:
            seconds = side["seconds_per_epoch"]
            plus = plus or side["helped"]
            label = f"{side['name']}{' +' if side['helped'] else ''}"
            if side["note"]:
                notes[f"{label} on {model['name']}: {side['note']}."] = None
            table.add_row(
                label,
                _short(seconds["median"]),
                f"{_short(seconds['lowest'])}–{_short(seconds['highest'])}",
                _short(seconds["median"] / floor),
                f"{side['device_memory_bytes' if on_device else 'peak_memory_bytes'] / 1e6:,.0f}",
                f"{side['compile_seconds']:.1f}",
                f"{side['losses'][-1]:.5f}",
                f"{side['loss_difference']:.0e}" if side["loss_difference"] else "0",
            )
        console.print(table)
        _print_ratios(console, document, model)
        for failure in model["failures"]:
            console.print(failure)
    console.print()
    sentences = [
        "range: lowest to highest round. ×floor: times what the products and Adam's traffic must take.",
        f"MB: peak memory of the {'GPU' if on_device else 'process'}.",
        "ready: from nothing to full speed, compilation included.",
        f"loss: after {document['steps']} steps from the same weights on the same batches.",
        "differs: the largest relative difference from ours on the way.",
    ]
    if any(model["random"] for model in document["models"]):
        sentences.append("With dropout each side draws masks of its own: losses agree in distribution alone.")
    if plus:
        sentences.append("+: helped with batches of our lengths (torch: with its fused Adam, too).")
    console.print(" ".join([*sentences, *notes]), style="dim")


def _print_ratios(console: Console, document: Document, model: Document) -> None:
    if document["mode"] == "ablation":
        ours = model["sides"][0]["seconds_per_epoch"]["median"]
        parts = [
            f"{side['name']} {side['seconds_per_epoch']['median'] / ours:.2f}×" for side in model["sides"][1:]
        ]
        console.print(f"Time {', '.join(parts)}.")
        return
    for key, words in (("ratio", "fastest peer"), ("helped_ratio", "fastest peer with our lengths")):
        found = model[key]
        if found is not None:
            ratio = found["ratio"]
            console.print(
                f"{words}: {found['name']}, {ratio['median']:.1f}× our time "
                f"({ratio['lowest']:.1f} to {ratio['highest']:.1f})"
            )


def _print_inference(console: Console, document: Document) -> None:
    data = document["dataset"]
    console.print(
        f"Answers on {data['name']}, {document['protocol']} protocol; bulk in batches of {document['batch']}."
    )
    for model in document["models"]:
        console.print()
        console.print(
            f"{model['name']}: {model['parameters']:,} parameters; {model['calls']} single calls, "
            f"{model['reviews']:,} reviews in bulk {document['rounds']} times",
            style="bold",
        )
        table = _table(console, "way", "p50 ms", "p95 ms", "reviews/s", "range", "MB", "ready s", "differs")
        for way in model["ways"]:
            speed = way["reviews_per_second"]
            table.add_row(
                way["name"],
                _short(way["p50_ms"]),
                _short(way["p95_ms"]),
                "" if speed is None else f"{speed['median']:,.0f}",
                "" if speed is None else f"{speed['lowest']:,.0f}–{speed['highest']:,.0f}",
                f"{way['peak_memory_bytes'] / 1e6:,.0f}",
                f"{way['ready_seconds']:.1f}",
                "" if way["difference"] is None else f"{way['difference']:.0e}",
            )
        console.print(table)
        for failure in model["failures"]:
            console.print(failure)
    console.print()
    console.print(
        "p50, p95: one review at a time, padding included. MB: peak memory of the process. "
        "differs: largest difference of a probability from ours, over all reviews.",
        style="dim",
    )


def _print_scaling(console: Console, document: Document) -> None:
    console.print("A training step on sequences without padding; each size in a process of its own.")
    for growth in document["models"]:
        held = ", ".join(f"{name} {size}" for name, size in growth["held"].items())
        console.print()
        console.print(f"{growth['model']} by {growth['axis']} ({held})", style="bold")
        table = _table(console, growth["axis"], "ms/step", "MB")
        for point in growth["points"]:
            table.add_row(
                f"{point['size']:,}", _short(point["step_seconds"] * 1e3), f"{point['peak_bytes'] / 1e6:,.0f}"
            )
        console.print(table)
        line = growth["memory"]
        late = _exponent(growth["late_time"])
        console.print(
            f"time ~ {growth['axis']}^{_exponent(growth['time'])}, upper half ^{late}; "
            f"memory {line['base'] / 1e6:,.0f} MB + {_short(line['slope'] / 1e6)} MB each "
            f"({100 * line['explained']:.1f}% explained)"
        )
    console.print()


def _exponent(found: Document) -> str:
    error = found["standard_error"]
    return f"{found['exponent']:.2f}" + ("" if error is None else f" ± {error:.2f}")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
