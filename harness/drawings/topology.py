"""A deployment as a picture, drawn from what was seen of it; what is broken is red, dashed and crossed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.diagnosis.evidence import Snapshot
from harness.diagnosis.hops import HopStatus
from harness.diagnosis.judgement import Diagnosis
from harness.drawings.canvas import MARGIN, WIDTH, Canvas, shortened
from harness.drawings.scene import Box, Scene, Side, Tunnel, Way, scene

_COLUMNS = 3
_PAD, _GAP = 12.0, 10.0
_BOX = (WIDTH - 2 * MARGIN - 2 * _PAD - (_COLUMNS - 1) * _GAP) / _COLUMNS
_LINE, _ROW = 15.0, 34.0  # the height of a line in a box, and the room between two rows
_LINES = 3  # at most so many lines in a box besides its name
_SQUARE = 26.0

_MARKS = {"pass": "✓", "fail": "✗", "unknown": "?"}

_STYLE = """
.host { fill: none; stroke: var(--line); stroke-width: 1.5 }
.zone { fill: var(--zone); stroke: var(--line); stroke-dasharray: 5 4 }
.box { fill: var(--box); stroke: var(--line) } .gate { stroke: var(--good); stroke-width: 2 }
.broken { stroke: var(--bad); stroke-width: 2.5; stroke-dasharray: 6 3 } .unseen { stroke-dasharray: 2 3 }
.tunnel { stroke: var(--good); stroke-width: 6; fill: none } .tunnel.broken { stroke: var(--bad); stroke-width: 6 }
.way { stroke: var(--soft); stroke-width: 1.6; fill: none } .way.broken { stroke: var(--bad); stroke-width: 2.5 }
.hop { fill: var(--box); stroke: var(--line) } .hop.fail { stroke: var(--bad); stroke-width: 2.5 }
.hop.unknown { stroke-dasharray: 2 3 }
"""


def draw(snapshot: Snapshot, diagnosis: Diagnosis) -> str:
    """The picture of a snapshot, of which this is the diagnosis, as SVG."""
    seen = scene(snapshot, diagnosis)
    title = f"{snapshot.layout} layout at {snapshot.taken_at:%H:%M:%S} UTC: {_verdict(diagnosis)}"
    canvas = Canvas(title, "; ".join(f.cause for f in diagnosis.findings if f.root) or "nothing is broken", _STYLE)
    canvas.paragraph(title, "title", size=15)
    canvas.y += 10
    _draw_sides(canvas, seen)
    for finding in diagnosis.findings:
        if finding.root:
            canvas.y += 8
            canvas.badge(MARGIN + 9, canvas.y + 13, "✗", bad=True)
            canvas.paragraph(f"{finding.rule}, {finding.node}", "bad-text", indent=28)
            canvas.paragraph(finding.cause, indent=28)
    _draw_paths(canvas, diagnosis.hops)
    return canvas.svg()


def _verdict(diagnosis: Diagnosis) -> str:
    return f"{diagnosis.status}{': ' if diagnosis.roots else ''}{', '.join(sorted(diagnosis.roots))}"


def _draw_sides(canvas: Canvas, seen: Scene) -> None:
    """Both ends, one below the other, the gateways at the left with the tunnel between them."""
    frame = canvas.draw("rect", x=MARGIN - 6, y=canvas.y, width=WIDTH - 2 * MARGIN + 12, rx=8, kind="host")
    top = canvas.y
    if not seen.front.host:
        canvas.text(WIDTH - MARGIN, canvas.y + 16, "one Docker engine", "small soft end")
        canvas.y += 10
    column = MARGIN + _PAD + _BOX / 2
    _, gate_end = _draw_side(canvas, seen.front)
    begin, canvas.y = gate_end, canvas.y + 74
    end, _ = _draw_side(canvas, seen.back)
    if seen.tunnel is not None:
        _draw_tunnel(canvas, seen.tunnel, column, begin, end)
    canvas.y += 6
    if seen.front.host:
        frame.set("class", "")
        frame.set("fill", "none")
    frame.set("height", f"{canvas.y - top:g}")


def _draw_side(canvas: Canvas, side: Side) -> tuple[float, float]:
    """One end: a zone with its boxes. Returns where its gateway's box begins and where it ends."""
    canvas.y += 10
    top = canvas.y
    zone = canvas.draw("rect", x=MARGIN, y=top, width=WIDTH - 2 * MARGIN, rx=6, kind="zone")
    said = [f"server {side.host}"] if side.host else []
    said += side.networks
    canvas.text(
        WIDTH - MARGIN - _PAD, top + 17, shortened(", ".join(said), WIDTH - 2 * MARGIN - _BOX, 11.5), "small soft end"
    )
    canvas.y = top + 26
    gate = (0.0, 0.0)
    places: list[tuple[float, float]] = []
    # With something to forward, the gateway has a row of its own, so that there is room for its ways.
    rows = [side.boxes[:1], *_rows(side.boxes[1:])] if side.ways else _rows(side.boxes)
    for number, row in enumerate(rows):
        row_top = canvas.y
        height = max(_height(box) for box in row)
        for index, box in enumerate(row):
            places.append((MARGIN + _PAD + index * (_BOX + _GAP), row_top))
            _draw_box(canvas, *places[-1], height, box, gate=number == index == 0)
        if number == 0:
            gate = (row_top, row_top + height)
        canvas.y = row_top + height + (_ROW if side.ways and number == 0 else _GAP)
    for way in side.ways:
        _draw_way(canvas, way, gate[1], places)
    canvas.y += _PAD - _GAP
    zone.set("height", f"{canvas.y - top:g}")
    return gate


def _rows(boxes: Sequence[Box]) -> list[Sequence[Box]]:
    return [boxes[start : start + _COLUMNS] for start in range(0, len(boxes), _COLUMNS)]


def _height(box: Box) -> float:
    return 26 + _LINE * min(len(box.lines) + bool(box.state), _LINES)


def _draw_box(canvas: Canvas, x: float, y: float, height: float, box: Box, *, gate: bool) -> None:  # noqa: PLR0913 (a place)
    kind = " ".join(word for word, is_so in (("gate", gate), ("broken", box.broken), ("unseen", not box.seen)) if is_so)
    canvas.draw("rect", x=x, y=y, width=_BOX, height=height, rx=5, kind=f"box {kind}".strip())
    canvas.text(x + 8, y + 18, shortened(box.name, _BOX - 8), "name")
    lines = [(line, "small soft") for line in box.lines]
    if box.state:
        lines.insert(0, (box.state, "small bad-text"))
    for number, (line, style) in enumerate(lines[:_LINES], start=1):
        canvas.text(x + 8, y + 18 + number * _LINE, shortened(line, _BOX - 10, 11.5), style)
    if box.broken:
        canvas.badge(x + _BOX - 3, y + 3, "✗", bad=True)


def _draw_tunnel(canvas: Canvas, tunnel: Tunnel, x: float, begin: float, end: float) -> None:
    canvas.draw("line", x1=x, y1=begin, x2=x, y2=end, kind=f"tunnel{' broken' if tunnel.broken else ''}")
    middle = (begin + end) / 2
    lines = [*tunnel.lines[:3], *(f"broken: {rule}" for rule in tunnel.broken)]
    first = middle - (len(lines) - 1) * _LINE / 2 + 4
    for number, line in enumerate(lines):
        style = "small bad-text" if line.startswith("broken") else "name" if number == 0 else "small soft"
        canvas.text(x + 18, first + number * _LINE, line, style)
    if tunnel.broken:
        canvas.badge(x, middle, "✗", bad=True)


def _draw_way(canvas: Canvas, way: Way, top: float, places: Sequence[tuple[float, float]]) -> None:
    """A line from the gateway to what it forwards to, with the port beside its end."""
    if way.target is None:
        canvas.text(MARGIN + 2 * _PAD + _BOX, top - 6, f"{way.label} leads to nobody", "small bad-text")
        return
    x, y = places[way.target]
    begin, end = MARGIN + _PAD + _BOX / 2, x + _BOX / 2
    middle = top + (_ROW / 2 if y > top + _ROW else (y - top) / 2)
    points = f"{begin:g},{top:g} {begin:g},{middle:g} {end:g},{middle:g} {end:g},{y:g}"
    canvas.draw("polyline", points=points, kind=f"way{' broken' if way.broken else ''}")
    canvas.text(end + 14, y - 4, way.label, f"small {'bad-text' if way.broken else 'soft'}")
    if way.broken:
        canvas.badge(end, middle + 5, "✗", bad=True)


def _draw_paths(canvas: Canvas, hops: Iterable[HopStatus]) -> None:
    """Each path: one that is whole in a word, one that is not hop by hop."""
    paths: dict[str, list[HopStatus]] = {}
    for hop in hops:
        paths.setdefault(hop.path, []).append(hop)
    whole = [path for path, way in paths.items() if all(hop.status == "pass" for hop in way)]
    if whole:
        canvas.y += 6
        canvas.paragraph(f"✓ whole: {', '.join(whole)}")
    broken = {path: way for path, way in paths.items() if path not in whole}
    for path, way in broken.items():
        _draw_path(canvas, path, way)
    if longest := max(broken.values(), key=len, default=None):
        canvas.y += 4
        canvas.paragraph(f"the hops: {' → '.join(hop.hop.value for hop in longest)}", "small soft", size=11.5)


def _draw_path(canvas: Canvas, path: str, way: Sequence[HopStatus]) -> None:
    canvas.y += 6
    fails = [f"{hop.hop.value} fails" for hop in way if hop.status == "fail"] or ["no hop is known to fail"]
    canvas.paragraph(f"{path}: {'; '.join(fails)}", "name")
    canvas.y += 6
    for number, hop in enumerate(way):
        x = MARGIN + number * (_SQUARE + 8)
        if number:
            canvas.draw("line", x1=x - 8, y1=canvas.y + 13, x2=x, y2=canvas.y + 13, kind="line")
        square = canvas.draw("rect", x=x, y=canvas.y, width=_SQUARE, height=_SQUARE, rx=4, kind=f"hop {hop.status}")
        canvas.draw("title", square).text = f"{hop.hop.value}: {hop.status}"
        canvas.text(x + 13, canvas.y + 18, _MARKS[hop.status], "middle bad-text" if hop.status == "fail" else "middle")
    canvas.y += _SQUARE
