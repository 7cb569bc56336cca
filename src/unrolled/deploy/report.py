"""What an export proved about itself, as frozen records."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Parity:
    """How an export compares with the network it came from, on real inputs.

    Args:
        real: whether inputs are test items; random words of the vocabulary where the run keeps no data.
        num_texts: items, read as the run reads them.
        num_stretched: real tokens strung together to other lengths, each read alone and in a batch.
        lengths: shortest and longest input in tokens.
        max_difference: largest absolute difference of a probability.
        labels_changed: inputs whose label differs.
        num_undecided: inputs whose two best classes are closer than the tolerance; either label is right.
        tolerance: the bound on ``max_difference``; None where it is measured and not bounded (int8).
    """

    real: bool
    num_texts: int
    num_stretched: int
    lengths: tuple[int, int]
    max_difference: float
    labels_changed: int
    num_undecided: int
    tolerance: float | None


@dataclass(frozen=True, slots=True)
class Quantization:
    """What eight bits cost, on test items.

    Args:
        accuracy: of the float32 network and of the int8 export, as shares.
        num_items: test items both were measured on.
        bytes: size of the model file before and after.
    """

    accuracy: tuple[float, float]
    num_items: int
    bytes: tuple[int, int]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A finished export.

    Args:
        folder: where it lives.
        name: the run's.
        format: "onnx", "keras" or "safetensors".
        precision: "float32" or "int8".
        parity: the comparison that it passed.
        quantization: None for float32.
        exact: whether recurrent layers were written the slower way that lies closer to the run's arithmetic.
        files: name to size in bytes.
    """

    folder: Path
    name: str
    format: str
    precision: str
    parity: Parity
    quantization: Quantization | None
    exact: bool
    files: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return {**asdict(self), "folder": str(self.folder)}
