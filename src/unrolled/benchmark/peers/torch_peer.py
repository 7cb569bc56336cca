"""PyTorch, eager, with ``torch.nn``'s own recurrent layers and Adam."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn

from .layout import to_torch
from .wire import Job, check_device, read_job, serve

EPSILON, SECOND_MOMENT, CLIP = 1e-7, 0.999, 1e-7
# Whoever starts this process hides the GPU where nothing is to be computed on one.
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Network(nn.Module):  # type: ignore[misc]
    """The layers of a job.

    Args:
        job: describes them.
        packed: whether sequences are packed. Otherwise a recurrence reads the padding behind the last word
            as well, and the state at the last word is taken: the same function, and sometimes faster.
    """

    def __init__(self, job: Job, *, packed: bool) -> None:
        super().__init__()
        self.facts, self.packed = job.facts, packed
        self.masked = bool(job.facts["masked"])
        self.parts = nn.ModuleList()
        size = int(job.facts["length"])
        time_steps = size
        for layer in job.facts["layers"]:
            kind = layer["kind"]
            part: Any = nn.Identity()
            if kind == "embedding":
                part, size = nn.Embedding(layer["vocabulary_size"], layer["size"]), layer["size"]
            elif kind == "convolution":
                part = nn.Conv1d(size, layer["filters"], layer["width"], padding="same")
                size = layer["filters"]
            elif kind == "pooling":
                time_steps = -(-time_steps // layer["size"]) if self.masked else time_steps // layer["size"]
            elif kind == "flatten":
                size *= time_steps
            elif kind == "recurrence":
                make = {"simple_rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[layer["cell"]]
                part = make(size, layer["units"], batch_first=True, bidirectional=layer["bidirectional"])
                size = layer["units"] * (2 if layer["bidirectional"] else 1)
                if layer["cell"] != "gru":
                    # Keras has one bias there; a second one that learns would double its steps.
                    for name, weight in part.named_parameters():
                        weight.requires_grad_("bias_hh" not in name)
            elif kind == "dense":
                part, size = nn.Linear(size, layer["units"]), layer["units"]
            elif kind == "output":
                part = nn.Linear(size, 1 if layer["classes"] == 2 else layer["classes"])
            self.parts.append(part)
        state = {
            name: torch.from_numpy(array)
            for name, array in to_torch(job.facts["layers"], job.weights).items()
        }
        self.load_state_dict(state)

    def forward(self, tokens: Any, real: Any, lengths: Any, turn: Any) -> Any:
        """Logits. ``tokens`` are padded on the left; ``turn`` gathers their steps to the front.

        Args:
            tokens: int64, (batch, time).
            real: float32, (batch, time, 1), 0 where padded.
            lengths: int64, (batch,), steps that a recurrence reads; in the processor's memory, where packing
                wants them.
            turn: int64, (batch, steps), where each step of a recurrence's input stands; None when padding is
                a word.
        """
        hidden: Any = tokens
        for part, layer in zip(self.parts, self.facts["layers"], strict=True):
            kind = layer["kind"]
            if kind == "embedding":
                if turn is not None and not self._has("convolution"):
                    # Padding on the right, as this library expects it: turned before it is looked up.
                    hidden = part(tokens.gather(1, turn))
                else:
                    hidden = part(tokens)
            elif kind == "convolution":
                hidden = hidden * real if self.masked else hidden
                hidden = torch.relu(part(hidden.transpose(1, 2))).transpose(1, 2)
                hidden = hidden * real if self.masked else hidden
            elif kind == "pooling":
                hidden = hidden.transpose(1, 2)
                if self.masked:
                    hidden = nn.functional.pad(hidden, (-hidden.shape[2] % layer["size"], 0))
                hidden = torch.max_pool1d(hidden, layer["size"]).transpose(1, 2)
                if turn is not None:
                    hidden = hidden.gather(1, turn[:, :, None].expand(-1, -1, hidden.shape[2]))
            elif kind == "flatten":
                if self.masked and not self._has("convolution"):
                    hidden = hidden * real
                hidden = hidden.flatten(1)
            elif kind == "recurrence":
                hidden = self._recur(part, layer, hidden, lengths)
            elif kind == "dense":
                hidden = torch.relu(part(hidden))
            else:
                hidden = part(hidden)
        return hidden

    def _has(self, kind: str) -> bool:
        return any(layer["kind"] == kind for layer in self.facts["layers"])

    def _recur(self, part: Any, layer: Any, steps: Any, lengths: Any) -> Any:
        if layer["dropout"]:
            # One mask for each sequence, the same at every step.
            ones = torch.ones(steps.shape[0], 1, steps.shape[2], device=steps.device)
            steps = steps * nn.functional.dropout(ones, layer["dropout"], self.training)
        if self.masked and self.packed:
            packed = nn.utils.rnn.pack_padded_sequence(steps, lengths, batch_first=True, enforce_sorted=False)
            outputs, state = part(packed)
            if layer["every"]:
                return nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)[0]
        else:
            outputs, state = part(steps)
            if layer["every"]:
                return outputs
            if self.masked:
                return outputs[torch.arange(len(lengths)), lengths - 1]
        state = state[0] if isinstance(state, tuple) else state
        return torch.cat([state[-2], state[-1]], 1) if layer["bidirectional"] else state[-1]


class Trainer:
    """One model, trained round by round on the batches of a job."""

    def start(self, job: str, helped: bool) -> dict[str, Any]:
        """Builds the model, padded on the right or packed, whichever takes less time here."""
        check_device(on_gpu=DEVICE.type == "cuda")
        torch.manual_seed(0)
        self.job, self.helped = read_job(job), helped
        self.batches = [
            self._prepare(self.job.rows(number), self.job.batch_length(number, helped=helped))
            for number in range(self.job.num_batches)
        ]
        layers = [layer for layer in self.job.facts["layers"] if layer["kind"] == "recurrence"]
        note = ""
        packed, trial_seconds = True, 0.0
        if self.job.facts["masked"] and layers and not any(layer["bidirectional"] for layer in layers):
            seconds = {way: self._try(way) for way in (True, False)}
            packed, trial_seconds = seconds[True] <= seconds[False], sum(seconds.values())
        if self.job.facts["masked"] and layers:
            note = "packed" if packed else "padded, state at the last word"
        self._reset(packed)
        return {"trial_seconds": trial_seconds, "note": note}

    def round(self) -> dict[str, Any]:
        """One pass over the batches: seconds, and the loss of each step."""
        begun = time.perf_counter()
        losses = [self._step(batch) for batch in self.batches]
        _wait()
        seconds = time.perf_counter() - begun
        used = torch.cuda.max_memory_allocated() if DEVICE.type == "cuda" else 0
        return {"seconds": seconds, "losses": [float(loss) for loss in losses], "device_bytes": used}

    def start_inference(self, job: str) -> dict[str, Any]:
        """A model for the rows of a job, one at a time and in bulk."""
        check_device(on_gpu=DEVICE.type == "cuda")
        self.job, self.helped = read_job(job), False
        self._reset(packed=True)
        self.network.eval()
        length = int(self.job.facts["length"])
        self.rows = [self._prepare(range(row, row + 1), length) for row in range(len(self.job.labels))]
        self.batches = [self._prepare(self.job.rows(n), length) for n in range(self.job.num_batches)]
        self._answer(self.rows[0])
        self._answer(self.batches[0])
        return {}

    def one(self, way: str, items: list[int]) -> dict[str, Any]:
        """Milliseconds of each answer for a single row."""
        times = []
        for item in items:
            begun = time.perf_counter()
            self._answer(self.rows[item])
            times.append((time.perf_counter() - begun) * 1e3)
        return {"ms": times}

    def bulk(self) -> dict[str, Any]:
        """Seconds for all rows, and the probability of the last class."""
        begun = time.perf_counter()
        outputs = [self._answer(batch) for batch in self.batches]
        return {"seconds": time.perf_counter() - begun, "outputs": np.concatenate(outputs).tolist()}

    def _answer(self, batch: tuple[Any, ...]) -> Any:
        with torch.no_grad():
            logits = self.network(*batch[:-1])
            found = torch.sigmoid(logits) if self.job.facts["classes"] == 2 else torch.softmax(logits, 1)
            return found[:, -1].cpu().numpy()

    def _try(self, packed: bool) -> float:
        """Seconds of four steps over batches of different lengths, the first of which warms up."""
        begun = time.perf_counter()
        self._reset(packed)
        self._step(self.batches[0])
        chosen = self.batches[0], self.batches[len(self.batches) // 2], self.batches[-1]
        for batch in chosen:
            self._step(batch)
        _wait()
        return time.perf_counter() - begun

    def _reset(self, packed: bool) -> None:
        self.network = Network(self.job, packed=packed).to(DEVICE)
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        settings = {"fused": True} if self.helped else {}
        self.optimizer = torch.optim.Adam(weights, lr=self.job.facts["learning_rate"], **settings)
        self.steps = 0

    def _step(self, batch: tuple[Any, ...]) -> Any:
        """One step of Adam; its loss, a tensor that nobody has waited for yet."""
        *inputs, labels = batch
        self.steps += 1
        for group in self.optimizer.param_groups:
            # Keras adds its epsilon before the second moment is corrected.
            group["eps"] = EPSILON / (1 - SECOND_MOMENT**self.steps) ** 0.5
        self.optimizer.zero_grad()
        logits = self.network(*inputs)
        # From probabilities within Keras' bounds: a saturated answer costs and teaches what it does there.
        if self.job.facts["classes"] == 2:
            found = torch.sigmoid(logits[:, 0]).clamp(CLIP, 1 - CLIP)
            loss = nn.functional.binary_cross_entropy(found, labels.float())
        else:
            found = torch.softmax(logits, 1).clamp(CLIP, 1 - CLIP)
            loss = nn.functional.nll_loss(torch.log(found), labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _prepare(self, rows: range, length: int) -> tuple[Any, ...]:
        """Tensors of one batch, made before the clock runs."""
        job = self.job
        tokens = job.padded(rows, length)
        labels = torch.from_numpy(job.labels[rows.start : rows.stop].astype(np.int64)).to(DEVICE)
        if job.facts["float_inputs"]:
            return torch.from_numpy(tokens.astype(np.float32)).to(DEVICE), None, None, None, labels
        real = torch.from_numpy((tokens != 0).astype(np.float32)[:, :, None]).to(DEVICE)
        steps, lengths = length, job.lengths(rows, length)
        for layer in job.facts["layers"]:
            if layer["kind"] == "pooling":
                steps, lengths = -(-steps // layer["size"]), -(-lengths // layer["size"])
        lengths = np.maximum(lengths, 1)
        turn = None
        if job.facts["masked"] and any(layer["kind"] == "recurrence" for layer in job.facts["layers"]):
            places = np.arange(steps)[None] + (steps - lengths)[:, None]
            turn = torch.from_numpy(np.minimum(places, steps - 1)).to(DEVICE)
        tokens = torch.from_numpy(tokens.astype(np.int64)).to(DEVICE)
        return tokens, real, torch.from_numpy(lengths), turn, labels


def _wait() -> None:
    """Until a GPU has done what it was told."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Serves requests."""
    trainer = Trainer()
    names = ("start", "round", "start_inference", "one", "bulk")
    serve({name: getattr(trainer, name) for name in names})
