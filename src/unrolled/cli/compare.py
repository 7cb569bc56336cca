"""``unrolled compare``: which architecture for one's own data, time and budget."""

from __future__ import annotations

import json
import sys
import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from unrolled.cli.corpus import Corpus
    from unrolled.evidence.results import StudyResults
    from unrolled.training.configuration import ComparisonSettings
    from unrolled.training.record import RunPlan
    from unrolled.training.time_plan import TimePlan

SETTINGS = "compare.toml"
COMPARISON = "comparison.json"


def compare(
    data: Annotated[
        str | None, typer.Argument(help="CSV, TSV, JSONL, Parquet, a folder per class, demo or imdb.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the labels.")] = None,
    group_column: Annotated[
        str | None, typer.Option(help="Column whose groups stay on one side of every split.")
    ] = None,
    split_column: Annotated[
        str | None, typer.Option(help="Column that says train, validation or test.")
    ] = None,
    models: Annotated[str | None, typer.Option(help="Names, separated by commas, or auto.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Runs per network; 3 without it.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most; 10 without it.")] = None,
    budget: Annotated[
        str | None, typer.Option(help='What the chosen model may cost: "latency_ms<5,size_mb<10".')
    ] = None,
    time: Annotated[str | None, typer.Option(help="What the study may take: 90s, 10m, 1h30m.")] = None,
    class_weights: Annotated[
        str | None, typer.Option(help='none, balanced, or "spam=5,ham=1" with every class.')
    ] = None,
    token_units: Annotated[str | None, typer.Option(help="auto, words, unspaced or characters.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings as `unrolled init` writes them; options come first.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the study lives; results/DATA-compare without it.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes side by side; one per core without it.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Results, choice and hints as one JSON document.")
    ] = False,
) -> None:
    """Compare architectures on your own data and choose one; run it again to go on where it stopped."""
    from unrolled.cli.corpus import prepare_corpus
    from unrolled.cli.lab import finish, report_failures
    from unrolled.data.storage import write_atomically
    from unrolled.training.configuration import write_settings
    from unrolled.training.study import lease, prepare_study

    begun = clock.monotonic()
    settings = _settings(
        config,
        {
            "data": {
                "path": data,
                "text_column": text_column,
                "label_column": label_column,
                "group_column": group_column,
                "split_column": split_column,
                "token_units": token_units,
            },
            "models": {"names": _names(models)},
            "training": {
                "seeds": seeds,
                "epochs": epochs,
                "class_weights": _weights(class_weights),
                "workers": workers,
            },
            "limits": {"budget": budget, "time": time},
        },
    )
    source = str(settings.data.path)
    folder = out or Path("results") / f"{Path(source).stem}-compare"
    with lease(folder):
        corpus = prepare_corpus(source, settings, tell)
        plans, plan = _plans(folder, corpus, settings, begun)
        study = prepare_study(folder, corpus.encoded, corpus.vocabulary, "standard", plans)
        write_atomically(folder / SETTINGS, write_settings(settings).encode())
        results = finish(study, settings.training.workers)
        document = _comparison(results, settings, corpus, plan, clock.monotonic() - begun)
        write_atomically(
            folder / COMPARISON, (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
        )
    if as_json:
        print(json.dumps(json.loads(results.to_json()) | document, ensure_ascii=False, indent=1))
    else:
        _print(results, folder, document)
    report_failures(study)


def tell(sentence: str) -> None:
    """Prints a sentence on standard error, where progress goes."""
    print(sentence, file=sys.stderr, flush=True)


def _settings(config: Path | None, changes: dict[str, dict[str, Any]]) -> ComparisonSettings:
    """The file's settings with the options over them, checked before anything is loaded."""
    from unrolled.errors import UsageError
    from unrolled.evidence.choice import parse_budget
    from unrolled.training.configuration import ComparisonSettings, parse_time, read_settings
    from unrolled.training.settings import select_architectures

    settings = ComparisonSettings() if config is None else read_settings(config)
    settings = settings.with_changes(changes, "unrolled compare")
    if settings.data.path is None:
        raise UsageError(
            "unrolled compare",
            "no data is named",
            expected="a path, as argument or as path under [data] of --config",
            action="unrolled compare reviews.csv",
        )
    if settings.models.names != "auto":
        select_architectures(list(settings.models.names))
    if settings.limits.budget is not None:
        parse_budget(settings.limits.budget)
    if settings.limits.time is not None:
        parse_time(settings.limits.time)
    return settings


def _plans(
    folder: Path, corpus: Corpus, settings: ComparisonSettings, begun: float
) -> tuple[tuple[RunPlan, ...], TimePlan | None]:
    """What is to be run, cut to the time where one is given."""
    from unrolled.training.ladder import choose_ladder
    from unrolled.training.settings import select_architectures

    if settings.models.names == "auto":
        ladder = choose_ladder(corpus.encoded)
        names = list(ladder.names)
        tell(f"models: {', '.join(names)}. {ladder.reason}")
    else:
        names = [architecture.name for architecture in select_architectures(list(settings.models.names))]
    training = settings.training
    plans = _plan(corpus, settings, names, training.seeds, training.epochs)
    if settings.limits.time is None:
        return plans, None
    plan = _fit(folder, corpus, settings, plans, begun)
    return _plan(corpus, settings, list(plan.names), plan.num_seeds, plan.epochs), plan


def _plan(
    corpus: Corpus, settings: ComparisonSettings, names: list[str], seeds: int, epochs: int
) -> tuple[RunPlan, ...]:
    from unrolled.training.settings import select_architectures
    from unrolled.training.study import plan_runs

    training = settings.training
    changes: dict[str, Any] = {
        "learning_rate": training.learning_rate,
        "patience": training.patience or None,
        "class_weights": corpus.class_weights,
    }
    if training.batch_size is not None:
        changes["batch_size"] = training.batch_size
    plans = plan_runs(
        select_architectures(names),
        corpus.encoded,
        "standard",
        num_seeds=seeds,
        epochs=epochs,
        model_settings=settings.model_settings(),
    )
    return tuple(
        plan.model_copy(update={"training": plan.training.model_copy(update=changes)}) for plan in plans
    )


def _fit(
    folder: Path, corpus: Corpus, settings: ComparisonSettings, plans: tuple[RunPlan, ...], begun: float
) -> TimePlan:
    """The plan for ``--time``: as it was decided when the study began, or from speeds measured now."""
    from unrolled.training.configuration import parse_time
    from unrolled.training.device import sees_gpu
    from unrolled.training.scheduler import default_workers
    from unrolled.training.time_plan import fit_into_time, load_time_plan, measure_speeds, save_time_plan
    from unrolled.types import digest

    workers = settings.training.workers or default_workers(on_gpu=sees_gpu())
    allowed = parse_time(str(settings.limits.time))
    key = digest(corpus.encoded.sha256, settings.model_dump_json(), *(p.model_dump_json() for p in plans))
    plan = load_time_plan(folder, key)
    if plan is None:
        tell("measuring the speed of every model")
        left = allowed - (clock.monotonic() - begun)
        measured = measure_speeds(folder, corpus.encoded, plans, seconds=left, num_workers=workers)
        plan = fit_into_time(
            measured.speeds,
            allowed - (clock.monotonic() - begun),
            num_seeds=settings.training.seeds,
            epochs=settings.training.epochs,
            num_workers=workers,
        )
        plan = plan.account_for(measured)
        save_time_plan(folder, key, plan)
    tell(plan.sentence(settings.limits.time or ""))
    return plan


def _comparison(
    results: StudyResults,
    settings: ComparisonSettings,
    corpus: Corpus,
    plan: TimePlan | None,
    seconds: float,
) -> dict[str, Any]:
    """What the comparison adds to the results: the choice, the hints, and how the time was used."""
    from dataclasses import asdict

    from unrolled.evidence.choice import Budget, choose, parse_budget

    budget = Budget(()) if settings.limits.budget is None else parse_budget(settings.limits.budget)
    choice = choose(results, budget)
    return {
        "choice": {"budget": str(budget), **asdict(choice)},
        "hints": corpus.hints,
        "time": {
            "seconds": round(seconds, 1),
            "allowed": settings.limits.time,
            "plan": None if plan is None else asdict(plan),
        },
    }


def _print(results: StudyResults, folder: Path, document: dict[str, Any]) -> None:
    from unrolled.cli.tables import print_results

    print_results(results, folder, by_class=True)
    choice = document["choice"]
    print(f"Choice: {choice['reason']}")
    if choice["model"] is not None:
        run = folder / "runs" / f"{choice['model']}-seed0"
        print(f'Next: unrolled predict {run} "a text" · unrolled export {run} · unrolled serve {run}')


def _names(models: str | None) -> str | tuple[str, ...] | None:
    if models is None or models.strip() == "auto":
        return models and "auto"
    return tuple(name.strip() for name in models.split(","))


def _weights(text: str | None) -> str | dict[str, float] | None:
    """The option's value: a word, or a weight for each class."""
    from unrolled.errors import UsageError

    if text is None or "=" not in text:
        return text
    weights = {}
    for part in text.split(","):
        name, _, value = part.rpartition("=")
        try:
            weights[name.strip()] = float(value)
        except ValueError:
            raise UsageError(
                "--class-weights",
                f"not a weight (got {part!r})",
                expected="CLASS=NUMBER, with commas between",
                action="--class-weights balanced",
            ) from None
    return weights
