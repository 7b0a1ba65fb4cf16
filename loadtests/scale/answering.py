"""Answers to objects of the API: each object at its latest state, one answer at a time, so many together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from loadtests.scale.offering import insist
from localcluster.api import Api
from localcluster.objects import Object

AT_ONCE = 32
"""Requests under way together."""

Answer = Callable[[Object], Awaitable[None]]


def forget_nothing(_: str) -> None:
    """Nothing is known of an object that is gone."""


class Answering:
    """Follows collections; whoever changes while it is answered is answered again."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._latest: dict[str, Object] = {}

    async def follow(
        self,
        group: asyncio.TaskGroup,
        path: str,
        query: dict[str, str],
        answer: Answer,
        gone: Callable[[str], None] = forget_nothing,
    ) -> None:
        """Answer the objects at a path for ever; `gone` is told the uid of one that is deleted."""
        async for exists, item in self._api.follow(path, **query):
            uid = item["metadata"]["uid"]
            if not exists:
                gone(uid)
            elif uid in self._latest:
                self._latest[uid] = item  # whoever answers an older state goes on with this one
            else:
                self._latest[uid] = item
                group.create_task(self._answer(uid, answer))

    async def _answer(self, uid: str, answer: Answer) -> None:
        done = None
        while (item := self._latest[uid]) is not done:
            async with self._slots:
                await insist(partial(answer, item))  # gone or changed meanwhile: the next event tells
            done = item
        del self._latest[uid]
