"""Samples into a real Prometheus by its remote-write endpoint: protocol buffers in uncompressed Snappy blocks, by hand.

Formats: prompb `WriteRequest`, and Snappy's raw block of literals alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import httpx

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The value by which Prometheus knows that a series has ended."""
_CHUNK = 60_000

Series = tuple[Mapping[str, str], Sequence[tuple[float, float]]]
"""Labels, the name among them, and (time in seconds, value), ascending."""


def write(url: str, series: Iterable[Series]) -> None:
    """Send samples. Raises AssertionError with Prometheus' words if it refuses them."""
    body = b"".join(_field(1, _time_series(labels, samples)) for labels, samples in series)
    answer = httpx.post(
        f"{url}/api/v1/write",
        content=_snappy(body),
        headers={
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        },
        timeout=30,
    )
    assert answer.is_success, answer.text


def _time_series(labels: Mapping[str, str], samples: Sequence[tuple[float, float]]) -> bytes:
    named = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode()))
        for name, value in sorted(labels.items())
    )
    return named + b"".join(
        _field(2, b"\x09" + _double(value) + b"\x10" + _varint(round(at * 1000))) for at, value in samples
    )


def _double(value: float) -> bytes:
    return struct.pack("<d", value)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _snappy(content: bytes) -> bytes:
    parts = [content[start : start + _CHUNK] for start in range(0, len(content), _CHUNK)]
    return _varint(len(content)) + b"".join(
        bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part for part in parts
    )
