"""A page of text and tables for the report: readable in light and dark, on a phone, and without telling colours."""

from __future__ import annotations

from html import escape

_STYLE = """
.sheet { --line: #8888; --right: #2a78d626; --wrong: #d6602a40; --bar: #0072b2; }
.sheet h2 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
.sheet table { border-collapse: collapse; } .sheet .wide { overflow-x: auto; }
.sheet th, .sheet td { border: 1px solid var(--line); padding: .15rem .5rem; text-align: left; }
.sheet td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.sheet th.column { writing-mode: vertical-rl; transform: rotate(180deg); white-space: nowrap; font-weight: normal; }
.sheet .matrix td { text-align: center; min-width: 1.3rem; }
.sheet .matrix th[scope=row] { white-space: nowrap; font-weight: normal; }
.sheet .right { background: var(--right); font-weight: 600; white-space: nowrap; }
.sheet .wrong { background: var(--wrong); font-weight: 600; outline: 2px solid #d6602a; outline-offset: -2px; }
.sheet .none { opacity: .45; } .sheet .note { opacity: .75; font-size: .9em; }
.sheet svg { vertical-align: middle; overflow: visible; } .sheet polyline { fill: none; stroke: currentColor; }
"""


def fragment(body: str) -> str:
    """A body with its style, to be put into a page that has colours of its own."""
    return f"<div class='sheet'><style>{_STYLE}</style>{body}</div>"


def document(title: str, body: str) -> str:
    """A body as a page of its own that loads nothing."""
    own = ":root { color-scheme: light dark } body { font: 14px/1.5 system-ui, sans-serif; margin: 1.2rem }"
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{own}</style></head>"
        f"<body><h1>{escape(title)}</h1>{fragment(body)}</body></html>"
    )


def table(head: list[str], rows: list[str], kind: str = "") -> str:
    """A table with a row of headings, wider than its place where it must be; each row is its cells' HTML."""
    heads = "".join(f"<th scope='col'>{escape(title)}</th>" for title in head)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<div class='wide'><table class='{kind}'><tr>{heads}</tr>{body}</table></div>"


def sparkline(values: list[float]) -> str:
    """A line through values, the oldest at the left; the last one has a dot."""
    if len(values) < 2:  # noqa: PLR2004 (a line has two ends)
        return ""
    low, high = min(values), max(values)
    scale = (high - low) or 1.0
    points = [(number * 80 / (len(values) - 1), 22 - (value - low) / scale * 20) for number, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    said = f"from {values[0]:g} to {values[-1]:g} over {len(values)} runs"
    return (
        f"<svg width='84' height='24' viewBox='-2 0 84 24' role='img' aria-label='{said}'><title>{said}</title>"
        f"<polyline points='{line}' stroke-width='1.5'></polyline>"
        f"<circle cx='{points[-1][0]:.1f}' cy='{points[-1][1]:.1f}' r='2.5' fill='currentColor'></circle></svg>"
    )
