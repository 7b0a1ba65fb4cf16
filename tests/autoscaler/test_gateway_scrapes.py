"""A gateway that is scraped at other moments than the pods: by a job of its own, or not for a while."""

from __future__ import annotations

import pytest

from autoscaler.signals.queries import Windows
from autoscaler.signals.views import Answers
from autoscaler.writes import WriteStatus
from tests.autoscaler.world import EPOCH, Answer, Revision, Sample, World

LOOKBACK_SECONDS = 300
"""For which Prometheus answers with the last sample of a series that has no newer one."""


class ScrapedApart(World):
    """Of the gateway there is a sample every so many seconds, but for a gap; rates are extrapolated as Prometheus does."""

    def __init__(
        self,
        revision: Revision,
        *,
        every: int,
        gap: tuple[int, int] = (0, 0),
        pods: float = 5.0,
        loads: tuple[float, float] = (60.0, 60.0),
    ) -> None:
        super().__init__(revision, rate=lambda at: loads[0] if at < 300 else loads[1], scrape_seconds=pods)
        self.every, self.gap = every, gap

    def answers(self) -> Answers:
        """Those of the pods, and the gateway's own."""
        self.gateway = False
        answers = super().answers()
        for revision in self.revisions.values():
            self._at_gateway(dict(answers), revision, self.state.windows)
        return answers

    def _at_gateway(self, answers: Answers, revision: Revision, windows: Windows) -> None:
        now = int(self.now - EPOCH)
        latest = now - now % self.every
        scraped = [at for at in range(latest, -1, -self.every) if not self.gap[0] < at < self.gap[1]]
        if not scraped or now - scraped[0] > LOOKBACK_SECONDS:
            return

        def put(question: str, signal: str, value: float | None, **more: str) -> None:
            labels = {
                "namespace": "demo",
                "deployment": revision.name,
                "profile": "gateway",
                "signal": signal,
            }
            answer = answers[question]
            assert isinstance(answer, Answer)
            if value is not None:
                answer.samples.append(Sample(labels | more, value))

        def rate(name: str, seconds: int) -> float | None:
            within = [at for at in scraped if now - at <= seconds]
            if len(within) < 2:
                return None
            span, interval = within[0] - within[-1], (within[0] - within[-1]) / (len(within) - 1)
            ends = (within[-1] - (now - seconds), now - within[0])
            around = sum(end if end < 1.1 * interval else interval / 2 for end in ends)
            series = revision.counters[name]
            return (series[within[0]] - series[within[-1]]) * (1 + around / span) / seconds

        put("gauges", "sampled_at", EPOCH + scraped[0])
        put("gauges", "samples_per_minute", float(sum(now - at < 60 for at in scraped)) or None)
        put("gauges", "in_flight", revision.queue + revision.rate("work", windows.fast))
        put("now", "requests", rate("arrived", windows.fast))
        put("now", "work_count", rate("served", windows.fast))
        stay = rate("sojourn", windows.fast)
        put("now", "work_sum", None if stay is None else 1000 * stay)
        put("base", "requests", rate("arrived", windows.base))
        put("late", "responses", rate("served", windows.base))
        put("late", "within", rate("on_time", windows.base), le="500")
        answers["bounds"].samples.append(Sample({"profile": "gateway", "signal": "bound", "le": "500"}, 1.0))


@pytest.mark.parametrize(("pods", "every"), [(5.0, 5), (5.0, 30), (15.0, 60)])
def test_a_gateway_that_is_scraped_more_rarely_than_the_pods_is_not_missed(pods: float, every: int) -> None:
    """Replicas go when the load does, and the condition does not go back and forth with every scrape."""
    service = Revision("digits", service_seconds=0.1, replicas=4, ready=4)
    world = ScrapedApart(service, every=every, pods=pods, loads=(60.0, 5.0))
    world.run(300)
    before = len(world.writes)
    world.run(1200)
    statuses = [write for _, write in world.writes[before:] if isinstance(write, WriteStatus)]

    assert service.replicas == 2
    assert world.state.gateway_scrape_seconds == every
    assert world.state.scrape_seconds == pods, (
        "of pods it is known apart: their samples are missed as soon as ever"
    )
    assert not [event for status in statuses for event in status.events]


@pytest.mark.parametrize("profile", ["mlserver", "gateway"])
@pytest.mark.parametrize("until", [640, 780, 1000])
def test_a_gap_in_the_scrapes_of_the_gateway_alone_is_no_growth(until: int, profile: str) -> None:
    """Its rates rise until their windows are full again, and what the pods complete meanwhile does not pass it by."""
    service = Revision(
        "digits",
        service_seconds=0.1,
        replicas=7,
        ready=7,
        created=EPOCH - 86400,
        spec={"signals": {"profile": profile}},
    )
    world = ScrapedApart(service, every=5, gap=(600, until), loads=(50.0, 50.0))
    world.run(600)
    replicas = service.replicas
    for _ in range((until - 300) // 5):
        world.run(5)
        assert service.replicas <= replicas + 1
