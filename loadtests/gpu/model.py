"""Transformers of real shapes with random weights: what they compute is worthless, how long it takes is not.

Each size of a batch is captured once as a CUDA graph and then replayed, as serving engines do, so that no time of
Python is in the measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

DTYPE = torch.bfloat16
DEVICE = "cuda"


@dataclass(frozen=True)
class Shape:
    """The shape of a transformer; `kv_heads` below `heads` is grouped-query attention."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    feed_forward: int

    @property
    def head_size(self) -> int:
        """Numbers of one head."""
        return self.hidden // self.heads


ENCODER = Shape(layers=24, hidden=1024, heads=16, kv_heads=16, feed_forward=4096)
"""As BERT-large."""
DECODER = Shape(layers=32, hidden=4096, heads=32, kv_heads=8, feed_forward=14336)
"""As Llama-3-8B, without the embedding of its vocabulary."""


class Layer:
    """The weights of one layer, and what it computes."""

    def __init__(self, shape: Shape, gated: bool, of: Mapping[str, torch.Tensor] | None = None) -> None:
        self.shape = shape
        self.gated = gated
        of = of or random_weights(shape, gated)
        self.qkv, self.out, self.up, self.down = of["qkv"], of["out"], of["up"], of["down"]

    def project(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values of `x` [b, t, hidden], each as [b, heads, t, head size]."""
        shape, (b, t, _) = self.shape, x.shape
        kv = shape.kv_heads * shape.head_size
        q, k, v = functional.linear(norm(x), self.qkv).split([shape.hidden, kv, kv], dim=-1)
        return (
            q.view(b, t, shape.heads, -1).transpose(1, 2),
            k.view(b, t, shape.kv_heads, -1).transpose(1, 2),
            v.view(b, t, shape.kv_heads, -1).transpose(1, 2),
        )

    def finish(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """The layer's output from its input and what was attended, [b, t, hidden]."""
        x = x + functional.linear(attended, self.out)
        up = functional.linear(norm(x), self.up)
        if self.gated:
            gate, up = up.chunk(2, dim=-1)
            up = functional.silu(gate) * up
        else:
            up = functional.gelu(up)
        return x + functional.linear(up, self.down)


class Encoder:
    """Whole inputs of equal length, one answer each."""

    def __init__(self, shape: Shape, tokens: int) -> None:
        self._layers = [Layer(shape, gated=False) for _ in range(shape.layers)]
        self._shape, self._tokens = shape, tokens

    def graph(self, batch: int) -> Callable[[], None]:
        """What runs one batch."""
        x = torch.randn(batch, self._tokens, self._shape.hidden, device=DEVICE, dtype=DTYPE)
        return captured(lambda: self._run(x))

    def _run(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self._layers:
            q, k, v = layer.project(x)
            attended = functional.scaled_dot_product_attention(q, k, v)
            x = layer.finish(x, attended.transpose(1, 2).flatten(2))
        return x


class Decoder:
    """A language model: prompts are read whole, answers written token by token over a KV cache."""

    def __init__(
        self, shape: Shape, cache_tokens: int, of: Mapping[int, Mapping[str, torch.Tensor]] | None = None
    ) -> None:
        self._shape = shape
        self._layers = [Layer(shape, True, None if of is None else of[at]) for at in range(shape.layers)]
        width = shape.kv_heads * shape.head_size
        self._caches = [
            torch.randn(2, cache_tokens * width, device=DEVICE, dtype=DTYPE) for _ in range(shape.layers)
        ]

    def step(self, batch: int, context: int) -> Callable[[], None]:
        """What writes one token of each of `batch` answers that have `context` tokens behind them."""
        x = torch.randn(batch, 1, self._shape.hidden, device=DEVICE, dtype=DTYPE)
        return captured(lambda: self._step(x, context))

    def prefill(self, tokens: int) -> Callable[[], None]:
        """What reads one prompt."""
        x = torch.randn(1, tokens, self._shape.hidden, device=DEVICE, dtype=DTYPE)
        return captured(lambda: self._prefill(x))

    def _step(self, x: torch.Tensor, context: int) -> torch.Tensor:
        shape, batch = self._shape, x.shape[0]
        for layer, cache in zip(self._layers, self._caches, strict=True):
            q, k, v = layer.project(x)
            used = batch * shape.kv_heads * context * shape.head_size
            keys, values = cache[:, :used].view(2, batch, shape.kv_heads, context, shape.head_size)
            keys[:, :, -1:], values[:, :, -1:] = k, v
            # The heads of a group attend the same keys: to the kernel they are so many queries.
            grouped = q.reshape(batch, shape.kv_heads, shape.heads // shape.kv_heads, shape.head_size)
            attended = functional.scaled_dot_product_attention(grouped, keys, values)
            x = layer.finish(x, attended.reshape(batch, 1, shape.hidden))
        return x

    def _prefill(self, x: torch.Tensor) -> torch.Tensor:
        group = self._shape.heads // self._shape.kv_heads
        for layer in self._layers:
            q, k, v = layer.project(x)
            k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
            attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = layer.finish(x, attended.transpose(1, 2).flatten(2))
        return x


def random_weights(shape: Shape, gated: bool) -> dict[str, torch.Tensor]:
    """The weights of one layer by name."""
    size, kv = shape.hidden, shape.kv_heads * shape.head_size
    return {
        "qkv": weights(size + 2 * kv, size),
        "out": weights(size, size),
        "up": weights(shape.feed_forward * (2 if gated else 1), size),
        "down": weights(size, shape.feed_forward),
    }


def weights(rows: int, columns: int) -> torch.Tensor:
    """Random weights that neither grow nor shrink what they are multiplied with."""
    return torch.randn(rows, columns, device=DEVICE, dtype=DTYPE) * columns**-0.5


def norm(x: torch.Tensor) -> torch.Tensor:
    """Root mean square normalisation without a scale."""
    return functional.rms_norm(x, (x.shape[-1],))


def captured(run: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """What replays `run` as a CUDA graph; it does not wait for the GPU."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.no_grad(), torch.cuda.stream(side):
        for _ in range(2):  # the first call chooses kernels, which a capture must not
            run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        answer = run()

    def replay(_keep: object = (run, answer)) -> None:
        # A graph knows the places of what it reads and writes, but does not keep them from being freed.
        graph.replay()

    return replay


def seconds_of(replay: Callable[[], None], times: int = 20) -> float:
    """The median time of one replay."""
    pairs = [
        (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(times)
    ]
    replay()
    for before, after in pairs:
        before.record()
        replay()
        after.record()
    torch.cuda.synchronize()
    return float(sorted(before.elapsed_time(after) for before, after in pairs)[times // 2]) / 1000
