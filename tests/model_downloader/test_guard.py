"""No connection to an address that is not public, however it was come by."""

from __future__ import annotations

import socket

import pytest

from model_downloader.guard import AddressRefusedError, Guard

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "minio.storage.svc", "2130706433",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_addresses_that_are_not_public_are_refused(host: str) -> None:
    """Loopback, private, link-local, shared, multicast, and IPv4 inside IPv6; a name is no address."""
    assert not Guard().admits(host)


@pytest.mark.parametrize("host", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses_are_admitted(host: str) -> None:
    """What is public may be connected to."""
    assert Guard().admits(host)


def test_an_administrator_admits_a_network_and_nothing_beside_it() -> None:
    """An allowed network opens itself only."""
    guard = Guard(["10.96.0.0/12", "fd00:1::/32"])

    assert guard.admits("10.96.0.7")
    assert guard.admits("::ffff:10.96.0.7")
    assert guard.admits("fd00:1::5")
    assert not guard.admits("10.0.0.1")
    assert not guard.admits("169.254.169.254")


def test_a_connect_is_refused_when_it_is_made() -> None:
    """The audit event of any library's connect ends in an error that names the address; other sockets are let be."""
    guard = Guard()
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as local:
        with pytest.raises(AddressRefusedError, match=r"169\.254\.169\.254 is no public address"):
            guard.hear("socket.connect", (tcp, ("169.254.169.254", 80)))
        guard.hear("socket.connect", (local, "/run/some.sock"))
        guard.hear("socket.connect", (tcp, ("1.1.1.1", 443)))
        guard.hear("open", ("/etc/hosts", "r", 0))
    assert guard.refused is not None
