"""HTTPRoute matches and time-outs in Envoy's words, and the order in which matches are tried."""

from __future__ import annotations

import re
from typing import Any

from localcluster.gateway.world import Key
from localcluster.objects import Object

_DURATION = re.compile(r"(\d+)(h|ms|m|s)")
_UNIT_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

Precedence = tuple[Any, ...]


def duration_milliseconds(text: str) -> int:
    """Milliseconds of a Gateway API duration such as `1m30s` (GEP-2257)."""
    return sum(int(amount) * _UNIT_MILLISECONDS[unit] for amount, unit in _DURATION.findall(text))


def route_timeout(rule: Object) -> str:
    """Envoy's route time-out. The gateway tries once, so the shorter of both time-outs decides; 0s is none."""
    timeouts = rule.get("timeouts", {})
    stated = [
        duration_milliseconds(timeouts[name]) for name in ("request", "backendRequest") if name in timeouts
    ]
    bounded = [milliseconds for milliseconds in stated if milliseconds > 0]
    return f"{min(bounded) / 1000:.3f}s" if bounded else "0s"


def unsupported(route: Object) -> str | None:
    """Names the first field that this gateway does not implement, with the remedy."""
    for i, rule in enumerate(route.get("spec", {}).get("rules", [])):
        where = f"spec.rules[{i}]"
        holders = [(where, rule)]
        holders += [(f"{where}.backendRefs[{j}]", ref) for j, ref in enumerate(rule.get("backendRefs", []))]
        for path, holder in holders:
            if holder.get("filters"):
                kinds = ", ".join(item.get("type", "?") for item in holder["filters"])
                return f"{path}.filters ({kinds}): this gateway implements no filters; remove them"
        for name in ("retry", "sessionPersistence"):
            if rule.get(name):
                return f"{where}.{name}: not implemented by this gateway; remove it"
        for j, match in enumerate(rule.get("matches", [])):
            conditions = [("path", match.get("path", {}))]
            conditions += [("headers", item) for item in match.get("headers", [])]
            conditions += [("queryParams", item) for item in match.get("queryParams", [])]
            for name, condition in conditions:
                if condition.get("type") == "RegularExpression":
                    return f"{where}.matches[{j}].{name}: RegularExpression is not implemented; use Exact" + (
                        " or PathPrefix" if name == "path" else ""
                    )
    return None


def envoy_match(match: Object) -> dict[str, Any]:
    """One HTTPRouteMatch as an Envoy RouteMatch."""
    path = match.get("path", {})
    value = path.get("value", "/")
    result: dict[str, Any]
    if path.get("type") == "Exact":
        result = {"path": value}
    elif value.rstrip("/"):
        result = {"path_separated_prefix": value.rstrip("/")}
    else:
        result = {"prefix": "/"}
    headers = [_exact(item["name"], item["value"]) for item in match.get("headers", [])]
    if "method" in match:
        headers.append(_exact(":method", match["method"]))
    if headers:
        result["headers"] = headers
    if match.get("queryParams"):
        result["query_parameters"] = [_exact(item["name"], item["value"]) for item in match["queryParams"]]
    return result


def _exact(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "string_match": {"exact": value}}


def precedence(route_key: Key, route: Object, rule: int, index: int, match: Object) -> Precedence:
    """Sort key of a match within one host name; the smallest is tried first (HTTPRouteRule.matches)."""
    path = match.get("path", {})
    return (
        path.get("type") != "Exact",
        -len(path.get("value", "/")),
        "method" not in match,
        -len(match.get("headers", [])),
        -len(match.get("queryParams", [])),
        route["metadata"].get("creationTimestamp", ""),
        route_key,
        rule,
        index,
    )
