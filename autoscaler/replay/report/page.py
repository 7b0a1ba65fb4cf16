"""One HTML file from data series: a summary, then plots on one time axis. No script, no external resource."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from autoscaler.replay.report.plot import Axis, Plot, Series, clock, draw, draw_events


@dataclass(frozen=True)
class Fact:
    """One figure of the summary. `is_good` colours it; None leaves it plain."""

    name: str
    value: str
    is_good: bool | None = None
    explanation: str = ""


@dataclass(frozen=True)
class Report:
    """All that a report shows."""

    title: str
    subtitle: str
    facts: Sequence[Fact]
    axis: Axis
    plots: Sequence[Plot]
    story: Sequence[tuple[float, str]] = ()
    """Seconds and what happened then, in sentences."""
    closing: str = ""
    links: Sequence[tuple[str, str]] = ()
    """Addresses of further pages, each with what it is."""


def render(report: Report) -> str:
    """Return the whole page."""
    return document(
        report.title,
        f"<h1>{escape(report.title)}</h1><p class='subtitle'>{escape(report.subtitle)}{_links(report.links)}</p>"
        f"<section class='facts'>{''.join(tile(fact) for fact in report.facts)}</section>"
        f"<section class='plots'>{draw_events(report.axis) if report.axis.events else ''}"
        f"{''.join(_figure(plot, report.axis) for plot in report.plots)}</section>"
        f"{_story(report.story)}"
        f"{f'<footer>{escape(report.closing)}</footer>' if report.closing else ''}",
    )


def document(title: str, body: str, style: str = "") -> str:
    """Return a page in the reports' style, with more of it if given; `body` is HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body><main>"
        f"{body}</main></body></html>\n"
    )


def _links(links: Sequence[tuple[str, str]]) -> str:
    return "".join(f' <a href="{escape(address)}">{escape(text)}</a>' for address, text in links)


def tile(fact: Fact) -> str:
    """Return one figure of a summary as HTML."""
    tone = {True: " good", False: " bad", None: ""}[fact.is_good]
    note = f"<small>{escape(fact.explanation)}</small>" if fact.explanation else ""
    return f"<div class='fact{tone}'><span>{escape(fact.name)}</span><b>{escape(fact.value)}</b>{note}</div>"


def _figure(plot: Plot, axis: Axis) -> str:
    note = f"<p class='note'>{escape(plot.note)}</p>" if plot.note else ""
    unit = f"<i>{escape(plot.unit)}</i>" if plot.unit else ""
    return (
        f"<figure><figcaption><h2>{escape(plot.title)}{unit}</h2>"
        f"{legend(plot.series)}</figcaption>{draw(plot, axis)}{note}</figure>"
    )


def legend(lines: Sequence[Series]) -> str:
    """Return the names of lines beside their colours as HTML."""
    return f"<div class='legend'>{''.join(_key(series) for series in lines)}</div>"


def _key(series: Series) -> str:
    tone = " dashed" if series.dashed else ""
    return f"<span><i class='key{tone}' style='border-color:var(--s{series.colour % 8})'></i>{escape(series.label)}</span>"


def _story(story: Sequence[tuple[float, str]]) -> str:
    if not story:
        return ""
    rows = "".join(f"<tr><td>{_time(seconds)}</td><td>{escape(text)}</td></tr>" for seconds, text in story)
    return f"<section><h2>What happened</h2><table>{rows}</table></section>"


def _time(seconds: float) -> str:
    return clock(seconds) if seconds >= 60 else f"0:{int(seconds):02d}"


STYLE = """
:root{--ink:#1c2127;--soft:#5c6670;--rule:#e3e7eb;--page:#f6f7f9;--card:#fff;--event:#9aa4ae;--limit:#c0392b;
--good:#1a7f4b;--bad:#c0392b;--s0:#2563c9;--s1:#d9730d;--s2:#1a8f63;--s3:#8a4fc4;--s4:#c43d74;--s5:#7a6a1e;
--s6:#1792a8;--s7:#6b7280}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa5b0;--rule:#2d343c;--page:#13171b;--card:#1b2026;
--event:#69747f;--limit:#ff7b6b;--good:#4fc98a;--bad:#ff7b6b;--s0:#6ea4ff;--s1:#ffab5e;--s2:#4fd0a0;--s3:#c094f5;
--s4:#ff85b3;--s5:#d3c15a;--s6:#58cfe3;--s7:#aab2bb}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",Roboto,sans-serif}
main{max-width:1120px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:26px;margin:0 0 2px;letter-spacing:-.01em}
h2{font-size:15px;margin:0;font-weight:600}
h2 i{font-weight:400;font-style:normal;color:var(--soft);margin-left:8px;font-size:13px}
.subtitle,footer,.note{color:var(--soft)}
.subtitle{margin:0 0 20px}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:10px;margin-bottom:20px}
.fact{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:10px 14px;border-left:3px solid var(--rule)}
.fact span{display:block;color:var(--soft);font-size:13px}
.fact b{font-size:21px;font-weight:600;font-variant-numeric:tabular-nums}
.fact small{display:block;color:var(--soft);font-size:12px;line-height:1.35}
.fact.good{border-left-color:var(--good)}.fact.bad{border-left-color:var(--bad)}.fact.bad b{color:var(--bad)}
.plots{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:14px 16px 6px;margin-bottom:20px}
figure{margin:0 0 10px}
figcaption{display:flex;flex-wrap:wrap;gap:2px 20px;align-items:baseline;margin:4px 0 0 0}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;color:var(--soft);font-size:13px}
.key{display:inline-block;width:18px;height:0;border-top:2.5px solid;margin-right:6px;vertical-align:middle}
.key.dashed{border-top-style:dashed}
.note{margin:0;font-size:13px}
svg{display:block;width:100%;height:auto;font-size:11.5px;font-variant-numeric:tabular-nums}
svg text{fill:var(--soft)}
svg .grid,svg .tick{stroke:var(--rule)}
svg .event{stroke:var(--event);stroke-dasharray:2 3}
svg .event-label{fill:var(--ink)}
svg .threshold{stroke:var(--limit);stroke-dasharray:7 4}
svg .threshold-label{fill:var(--limit)}
svg .line{fill:none;stroke-width:1.9;stroke-linejoin:round}
svg .line.dashed{stroke-dasharray:5 4}
svg .area{opacity:.16}
table{border-collapse:collapse;width:100%;background:var(--card);border:1px solid var(--rule);border-radius:8px;margin-top:8px}
td{padding:6px 14px;border-top:1px solid var(--rule);vertical-align:top}
td:first-child{color:var(--soft);font-variant-numeric:tabular-nums;width:1%;white-space:nowrap}
tr:first-child td{border-top:0}
footer{font-size:13px;margin-top:16px}
a{color:var(--s0)}
"""
