"""``unrolled train`` and ``unrolled evaluate``: one model at a time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def train(
    data: Annotated[str, typer.Argument(help="demo, imdb, or a path to your own data.")],
    model: Annotated[str, typer.Option(help="A name that `unrolled models` lists.")],
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; results/train-MODEL without it.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="standard or notebook.")] = "standard",
    seed: Annotated[int, typer.Option(min=0, help="Fixes weights, shuffling and dropout.")] = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Instead of what the protocol prescribes.")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=255, help="Threads of the run; equal bits for equal numbers.")
    ] = 1,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the labels.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record on standard output.")] = False,
) -> None:
    """Train one model; run the same command again to go on with a run that was stopped."""
    from unrolled.cli.lab import load_corpus, parse_protocol
    from unrolled.cli.progress import watch
    from unrolled.training.settings import select_architectures
    from unrolled.training.study import lease, plan_runs, prepare_run

    folder = out or Path("results") / f"train-{model}"
    with lease(folder):
        wanted = parse_protocol(protocol)
        architectures = select_architectures([model])
        encoded, vocabulary = load_corpus(
            data, protocol=wanted, columns={"text_column": text_column, "label_column": label_column}
        )
        plan = plan_runs(architectures, encoded, wanted, num_seeds=1, first_seed=seed, epochs=epochs)[0]
        training = plan.training.model_copy(update={"threads": threads})
        plan = plan.model_copy(update={"training": training})
        study = prepare_run(folder, encoded, vocabulary, wanted, plan)
        watch(study, num_workers=1)
        record = study.run(study.plans[0]).record
    if record is None or record.status != "done":
        reason = record.reason if record else "stopped"
        print(f"unrolled: {model}: {record.status if record else 'stopped'}: {reason}", file=sys.stderr)
        raise typer.Exit(4)
    if as_json:
        print(record.model_dump_json(indent=1))
        return
    print(
        f"{model}: test accuracy {record.test_accuracy:.4f} with the weights of epoch {record.chosen_epoch}"
    )
    print(f"Run: {folder}")


def evaluate(
    model: Annotated[Path, typer.Argument(help="A finished run's folder, or an export's.")],
    data: Annotated[str, typer.Argument(help="Labelled data: demo, imdb, or a path.")],
    text_column: Annotated[str | None, typer.Option(help="Column that holds the texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the labels.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Measure a trained model on labelled data: its test part, or all of it where there is only one part."""
    from unrolled.cli.answers import open_answerer
    from unrolled.data.load import load_dataset
    from unrolled.errors import DataError
    from unrolled.evidence.evaluation import evaluate_answers

    answerer = open_answerer(model)
    dataset = load_dataset(data, text_column=text_column, label_column=label_column)
    split = dataset.test if dataset.test is not None else dataset.train
    unknown = [name for name in dataset.classes if name not in answerer.classes]
    if unknown:
        raise DataError(
            data,
            f"labels that the model does not know (got {', '.join(map(repr, unknown[:5]))})",
            expected=f"labels among {', '.join(map(repr, answerer.classes))}",
            action="the data that belongs to this model, or --label-column",
        )
    probabilities = answerer.of_split(split)
    found = evaluate_answers(probabilities, answerer.classes, split.labels, dataset.classes)
    if as_json:
        print(json.dumps({"run": str(model), "data": dataset.name, **found.to_dict()}, indent=1))
        return
    low, high = found.interval
    share = f"{found.accuracy:.4f} [{low:.4f}, {high:.4f}]"
    print(f"accuracy {share} on {found.num_items:,} items, loss {found.loss:.4f}")
    for row in found.per_class:
        print(f"  {row.name}: {row.right:,} of {row.total:,} found, precision {row.precision:.4f}")
