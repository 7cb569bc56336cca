"""``unrolled``: the commands and the one place where failures become exit statuses."""

from __future__ import annotations

import os
import sys

import typer

from unrolled import __version__
from unrolled.cli import (
    analyse,
    benchmark,
    compare,
    data,
    doctor,
    explain,
    export,
    init,
    lab,
    models,
    predict,
    report,
    runs,
    serve,
)
from unrolled.errors import UnrolledError

app = typer.Typer(
    name="unrolled",
    help="Train, compare, explain and ship sequence classifiers, from a bag of words to LSTM hybrids.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("lab")(lab.lab)
app.command("compare")(compare.compare)
app.command("init")(init.init)
app.command("models")(models.models)
app.command("data")(data.data)
app.command("train")(runs.train)
app.command("evaluate")(runs.evaluate)
app.command("predict")(predict.predict)
app.command("explain")(explain.explain)
app.command("analyse")(analyse.analyse)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("serve")(serve.serve)
app.command("benchmark")(benchmark.benchmark)
app.command("doctor")(doctor.doctor)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"unrolled {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_version, is_eager=True
    ),
) -> None:
    """Train, compare, explain and ship sequence classifiers, from a bag of words to LSTM hybrids."""


def main() -> None:
    """Runs a command and ends the process: 0 done, 2 usage, 3 bad data, 4 machine, 5 busy, 130 Ctrl-C."""
    try:
        app()
    except UnrolledError as error:
        print(f"unrolled: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has left; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        place = error.filename or "the machine"
        print(f"unrolled: {place}: {error.strerror or error}.", file=sys.stderr)
        sys.exit(4)


if __name__ == "__main__":
    main()
