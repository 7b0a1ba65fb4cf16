"""A few runs of the campaign on a real API server: what `make campaign` does thousands of times."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.progress import Progress
from serving_io import kinds
from tests.campaign import classes, clock
from tests.campaign.api import Api
from tests.campaign.real.backing import OnServer
from tests.campaign.real.connection import Lost
from tests.campaign.real.server import running
from tests.campaign.rig import known_reference, quiet, run
from tests.campaign.user import NAMESPACE
from tests.contract.questions import Manifest, deployment

pytestmark = pytest.mark.real_api


@pytest.fixture(scope="module")
def on_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnServer]:
    """A real API server without controllers: those of the local cluster would be in the world's way."""
    folder: Path = tmp_path_factory.mktemp("api-server")
    with quiet(), running(folder / "run", Progress()) as server:
        yield OnServer(server)


def test_both_api_servers_are_asked_the_same(on_server: OnServer) -> None:
    """A run without faults takes the same requests at the same moments, whatever API server it is on."""
    real, fake = known_reference("create", 0, on_server), known_reference("create")
    assert Counter(real.calls) - Counter(fake.calls) == Counter(fake.calls) - Counter(real.calls) == Counter()
    assert (real.waits, real.times) == (fake.waits, fake.times)


def test_crashes_at_sampled_writes_change_nothing(on_server: OnServer) -> None:
    """Killed before or after a write, the operator ends where it would have ended, and breaks nothing on the way."""
    for plan in random.Random(3).sample(list(classes.crashes("create")), 2):
        outcome = run(plan, on_server)
        assert outcome.problems == (), plan.text()
        assert outcome.reached == 1


def test_what_the_watches_did_not_tell_is_noticed(on_server: OnServer) -> None:
    """At the end of each run what the watches have told is compared with what the API server lists."""

    async def forgetful() -> None:
        api = Api((), True, on_server)
        api.put("user", kinds.DEPLOYMENT, _placed(deployment("told")))
        api.put("user", kinds.DEPLOYMENT, _placed(deployment("forgotten")))
        del api.records(kinds.DEPLOYMENT)[NAMESPACE, "forgotten"]
        api.close()

    with pytest.raises(Lost, match="forgotten"):
        clock.run(forgetful)


def _placed(manifest: Manifest) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": NAMESPACE}}
