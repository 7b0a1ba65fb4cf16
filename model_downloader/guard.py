"""Which addresses may be connected to: asked at each connect, when the name has become an address.

A check of names, or of addresses before the connect, can be steered: by a redirect, by a name that resolves to another
address the second time. Python tells an audit hook of every connect of every library, with the address it is made to,
and nothing in the process can take a hook away. Libraries that open sockets by themselves are not used (hf-xet is
switched off).
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Sequence
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""NAT64 (RFC 6052): the last 32 bits are an IPv4 address."""


class AddressRefusedError(ConnectionRefusedError):
    """The address is not public, and no administrator has allowed it."""


class Guard:
    """Refuses connections to addresses that are not public, but for `allowed` networks."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed: list[Network] = [ipaddress.ip_network(text) for text in allowed]
        self.refused: str | None = None
        """What was refused last, in a sentence: libraries may hide the cause of a failed connect."""

    def install(self) -> None:
        """Guard every connection of the process from now on."""
        sys.addaudithook(self.hear)

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Be told of an event. Raises AddressRefusedError at a connect that must not be."""
        if event not in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            return
        sock, address = args
        if sock.family in (socket.AF_INET, socket.AF_INET6) and address and not self.admits(str(address[0])):
            self.refused = (
                f"{address[0]} is no public address: models are not fetched from inside the cluster or the cloud's "
                "link-local services, unless the administrator allows the network (--model-download-networks)."
            )
            raise AddressRefusedError(self.refused)

    def admits(self, host: str) -> bool:
        """Whether a connection to an address may be made; a name is no address."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        meant = _meant(address)
        if any(meant in network for network in self._allowed):
            return True
        return meant.is_global and not meant.is_multicast


def _meant(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where a gateway or the kernel would take it out."""
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address in _TRANSLATED:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inside or address
    return address
