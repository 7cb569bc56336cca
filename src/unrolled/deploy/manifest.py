"""The manifest of an export folder: what is in it, and the digest of every file that is read back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unrolled.errors import DataError

FORMAT = "unrolled.export/1"
MANIFEST = "manifest.json"
MODEL, TOKENIZER, LABELS, CONFIG, CARD = (
    "model.onnx",
    "tokenizer.json",
    "labels.json",
    "config.json",
    "README.md",
)

#: The largest files that are read. Models of the zoo stay far below.
MAX_BYTES = {MANIFEST: 2**20, LABELS: 2**20, CONFIG: 2**20, TOKENIZER: 256 * 2**20, MODEL: 2**30}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a predictor must know about an export.

    Args:
        folder: where it lives.
        name: the run's.
        architecture: registry name.
        format: "onnx", "keras" or "safetensors".
        precision: "float32" or "int8".
        length: tokens that are read, counted from the end of the text; None for all.
        window: tokens to each step of the output ``reading``; None where there is no such output.
        masked: whether padding is masked, so that a step belongs to a word from the first one on.
        features: numbers that one row costs on its way through the model, for models that are no network.
        gradients: whether the model has the outputs for gradients through time.
        files: name to (sha256, size in bytes).
    """

    folder: Path
    name: str
    architecture: str
    format: str
    precision: str
    length: int | None
    window: int | None
    masked: bool
    features: int | None
    gradients: bool
    files: dict[str, tuple[str, int]]

    def to_json(self) -> str:
        """The file's content."""
        document = {
            "format": FORMAT,
            "name": self.name,
            "architecture": self.architecture,
            "model": {
                "format": self.format,
                "precision": self.precision,
                "length": self.length,
                "window": self.window,
                "masked": self.masked,
                "features": self.features,
                "gradients": self.gradients,
            },
            "files": {name: {"sha256": sha256, "bytes": size} for name, (sha256, size) in self.files.items()},
        }
        return json.dumps(document, ensure_ascii=False, indent=1) + "\n"

    def read(self, name: str) -> bytes:
        """A file's content, once its size and digest were found to be right.

        Raises:
            DataError: the file is missing, too large or altered.
        """
        path = self.folder / name
        if name not in self.files:
            raise damaged(self.folder / MANIFEST, f"it does not list {name}")
        sha256, size = self.files[name]
        payload = read_capped(path, MAX_BYTES.get(name, 2**30))
        if len(payload) != size or hashlib.sha256(payload).hexdigest() != sha256:
            raise damaged(path, f"the content has changed (got {len(payload):,} bytes)")
        return payload


def is_export(folder: Path) -> bool:
    """Whether ``folder`` looks like an export."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an export folder.

    Raises:
        DataError: no export, damaged, or of another version.
    """
    path = folder / MANIFEST
    document = parse_json(path, read_capped(path, MAX_BYTES[MANIFEST]))
    found = document.get("format") if isinstance(document, dict) else None
    if not isinstance(document, dict) or found != FORMAT:
        raise damaged(path, f"not an export of this version (got format={found!r})")
    try:
        model = document["model"]
        manifest = Manifest(
            folder=folder,
            name=_of(str, document["name"]),
            architecture=_of(str, document["architecture"]),
            format=_of(str, model["format"]),
            precision=_of(str, model["precision"]),
            length=_count(model["length"]),
            window=_count(model["window"]),
            masked=_of(bool, model["masked"]),
            features=_count(model["features"]),
            gradients=_of(bool, model["gradients"]),
            files={
                _of(str, name): (_of(str, entry["sha256"]), _of(int, entry["bytes"]))
                for name, entry in document["files"].items()
            },
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise damaged(path, f"a field is missing or of the wrong kind ({error})") from None
    return manifest


def parse_json(path: Path, payload: bytes) -> Any:
    """The JSON value in ``payload``; a DataError that names ``path`` where it is none."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        raise damaged(path, "not JSON") from None


def read_capped(path: Path, most: int) -> bytes:
    """A file's content, up to ``most`` bytes.

    Raises:
        DataError: missing, no plain file, or larger.
    """
    try:
        with path.open("rb") as stream:
            payload = stream.read(most + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise DataError(
            str(path),
            "there is no such file",
            expected="a folder that `unrolled export` made",
            action="unrolled export RUN --format onnx",
        ) from None
    if len(payload) > most:
        raise damaged(path, f"the file is too large (more than {most:,} bytes)")
    return payload


def damaged(path: Path, what: str) -> DataError:
    """The error for a file that is not what an export wrote."""
    return DataError(str(path), what, expected="the file as it was exported", action="export the run again")


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _count(value: Any) -> int | None:
    if value is None:
        return None
    number = int(_of(int, value))
    if number < 1:
        raise ValueError(f"{number} is no count")
    return number
