"""A fake API server that the contract suite holds against a real one."""

from tests.fakes.kube.server import FakeKube, Request

__all__ = ["FakeKube", "Request"]
