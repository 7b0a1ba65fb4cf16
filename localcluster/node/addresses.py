"""Pod addresses: 10.244.a.b is what a pod reports, 127.244.a.b is where its processes listen."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from zlib import crc32

POD_PREFIX = "10.244."
LISTEN_PREFIX = "127.244."
# 0 and 255 are left out of the last byte: some programs take them for network and broadcast addresses.
_HOSTS = 254
SIZE = 256 * _HOSTS
_STATIC = 2


class AddressesExhaustedError(Exception):
    """Every pod address is taken."""


def listen_address(pod_ip: str) -> str:
    """Where to dial a pod that reports `pod_ip`; other addresses are returned as they are."""
    return LISTEN_PREFIX + pod_ip.removeprefix(POD_PREFIX) if pod_ip.startswith(POD_PREFIX) else pod_ip


def _address(index: int) -> str:
    return f"{POD_PREFIX}{index // _HOSTS}.{index % _HOSTS + 1}"


def _first(run_dir: Path) -> int:
    """Derived from the run directory, so that two clusters on one machine rarely meet."""
    return crc32(str(run_dir).encode()) % SIZE


def static_address(run_dir: Path, number: int) -> str:
    """The address of a cluster's `number`-th static pod, from 0; no other pod gets it."""
    assert 0 <= number < _STATIC
    return _address((_first(run_dir) - number) % SIZE)


class Addresses:
    """Unique pod addresses, each handed out again only after all the others."""

    def __init__(self, run_dir: Path, last: int | None = None) -> None:
        self.last = _first(run_dir) if last is None else last
        self._taken = {static_address(run_dir, number) for number in range(_STATIC)}

    def allocate(self) -> str:
        """The next free address; raises AddressesExhaustedError."""
        for _ in range(SIZE):
            self.last = (self.last + 1) % SIZE
            address = _address(self.last)
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise AddressesExhaustedError(f"all {SIZE} pod addresses are taken; delete some pods")

    def release(self, address: str) -> None:
        """Give an address back."""
        self._taken.discard(address)


def conflict(address: str, port: int) -> str | None:
    """Who keeps `address:port` from being bound, in words; None if it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return f"cannot listen on {address}:{port}: {error.strerror}; {_holder(address, port)}"
    return None


def _holder(address: str, port: int) -> str:
    """The process that listens on the port at this address or at all of them, from /proc/net/tcp."""
    wanted = {socket.inet_aton(each)[::-1].hex().upper(): each for each in (address, "0.0.0.0")}
    inodes = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        host, _, hexadecimal = fields[1].partition(":")
        if host in wanted and int(hexadecimal, 16) == port and fields[3] == "0A":
            inodes[f"socket:[{fields[9]}]"] = wanted[host]
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if (at := inodes.get(os.readlink(link))) is not None:
                pid = link.parts[2]
                command = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                return (
                    f"process {pid} ({command[:120]}) listens on {at}:{port}: stop it or choose another port"
                )
        except OSError:
            continue
    return "another process holds it: stop it or choose another port"
