"""The lines of code that a card shows, by format; the tests run them as they stand."""

from __future__ import annotations

_HEAD = """\
texts = ["A quiet, lovely film.", "I have seldom been so bored."]
rows = [tokenizer.encode(text).ids[CUT] for text in texts]
"""

_ONNX = (
    """\
import json
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
labels = json.load(open("labels.json", encoding="utf-8"))
session = onnxruntime.InferenceSession("model.onnx")
"""
    + _HEAD
    + """\
tokens = np.zeros((len(rows), max(map(len, rows))), np.int64)  # zeros on the left pad
for row, ids in zip(tokens, rows):
    row[len(row) - len(ids) :] = ids
(probabilities,) = session.run(["probabilities"], {"tokens": tokens})
for text, row in zip(texts, probabilities):
    print(labels[row.argmax()], round(float(row.max()), 4), text)
"""
)

_KERAS = (
    """\
import json
import keras
import numpy as np
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("tokenizer.json")
labels = json.load(open("labels.json", encoding="utf-8"))
model = keras.saving.load_model("model.keras")
"""
    + _HEAD
    + """\
tokens = np.zeros((len(rows), LENGTH), np.int32)  # zeros on the left pad
for row, ids in zip(tokens, rows):
    row[len(row) - len(ids) :] = ids
outputs = np.asarray(model(tokens.astype(model.inputs[0].dtype)))
probabilities = np.hstack([1 - outputs, outputs]) if len(labels) == 2 else outputs
for text, row in zip(texts, probabilities):
    print(labels[row.argmax()], round(float(row.max()), 4), text)
"""
)

_SAFETENSORS = """\
import json
from safetensors.numpy import load_file

print(json.load(open("config.json", encoding="utf-8"))["model"])
for name, array in load_file("model.safetensors").items():
    print(name, array.shape, array.dtype)
# With the package unrolled: build_model(**config["model"]) makes the network that these weights belong to,
# layer by layer in the order of the numbers in their names.
"""

#: Format to the code and what it needs.
SNIPPETS: dict[str, tuple[str, str]] = {
    "onnx": (_ONNX, "`pip install numpy onnxruntime tokenizers`"),
    "keras": (_KERAS, "`pip install keras jax tokenizers`"),
    "safetensors": (_SAFETENSORS, "`pip install numpy safetensors`"),
}
