"""Keras layers: recurrence at the speed of the machine, and convolutions that respect a mask.

Each name takes the arguments of its namesake in ``keras.layers`` and computes the same function.
"""

from __future__ import annotations

import os

# Keras falls back to TensorFlow, which this package does not install. Whoever has chosen a backend keeps it.
os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

from unrolled.layers.fusion import accelerate, loosen_length
from unrolled.layers.masking import Conv1D, Flatten, MarkedSteps, MaxPooling1D
from unrolled.layers.recurrent import GRU, LSTM, SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "Conv1D",
    "Flatten",
    "MarkedSteps",
    "MaxPooling1D",
    "SimpleRNN",
    "accelerate",
    "keras",
    "loosen_length",
]
