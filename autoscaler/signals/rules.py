"""Recording rules: the same sums as the autoscaler's questions, for dashboards and long-term storage.

`.venv/bin/python -m autoscaler.signals.rules` prints manifests/prometheus/rules.yaml.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import yaml

from autoscaler.signals.profiles import BUILT_IN
from autoscaler.signals.queries import sums

WINDOW_SECONDS: Final = 60
HEADER: Final = """\
# Sums by namespace and deployment of what model servers and the gateway count, for dashboards, alerts and
# long-term storage. The autoscaler needs none of them: it asks the same of the series themselves. Where a gateway counts
# all backends of a route together, `deployment` is route/<its name>.
# Written by `.venv/bin/python -m autoscaler.signals.rules`; a test compares. Windows of {seconds} s want scrapes of 15 s or less.
"""


def recording_rules() -> dict[str, Any]:
    """The content of rules.yaml."""
    rules = [
        {"record": f"serving:{signal}:rate1m", "expr": expression, "labels": {"source": profile.id}}
        for profile in BUILT_IN.values()
        for signal, expression in sums(profile, WINDOW_SECONDS).items()
    ]
    return {"groups": [{"name": "serving", "interval": "15s", "rules": rules}]}


def rules_yaml() -> str:
    """The file, header included."""
    text = yaml.safe_dump(recording_rules(), sort_keys=False, width=100_000)
    return HEADER.format(seconds=WINDOW_SECONDS) + text


if __name__ == "__main__":
    sys.stdout.write(rules_yaml())
