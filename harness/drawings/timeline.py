"""An experiment as a timeline: a lane for each probe, and the marks of what was done and found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.chronicle import Chronicle, Mark, Moment, runs
from harness.drawings.canvas import MARGIN, WIDTH, Canvas, printable, shortened
from harness.model import Observation, Outcome

_BAND, _LANE = 18, 44  # heights
_FLAGS = 34  # the height of the row in which marks have their numbers
_APART = 21  # how far from each other two numbers are at least
_NARROW = 6.0  # the width of a single observation
_TICKS = 6  # at most so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How an outcome looks: a letter, a colour, and a pattern as the path that a tile of 8 by 8 has in it."""

    letter: str
    colour: str
    tile: str


LOOKS = {
    Outcome.CONNECTED: Look(letter="C", colour="#0072b2", tile=""),
    Outcome.REFUSED: Look(letter="R", colour="#d55e00", tile="M-2 10 10 -2M-2 2 2 -2M6 10 10 6"),
    Outcome.TIMED_OUT: Look(letter="T", colour="#e69f00", tile="M4 0V8"),
    Outcome.UNREACHABLE: Look(letter="U", colour="#cc79a7", tile="M0 4H8"),
    Outcome.DENIED: Look(letter="D", colour="#b8a800", tile="M0 0 8 8M8 0 0 8"),
    Outcome.UNRESOLVED: Look(letter="N", colour="#56b4e9", tile="M-2 -2 10 10M6 -2 10 2M-2 6 2 10"),
    Outcome.WRONG_SERVICE: Look(letter="W", colour="#009e73", tile="M0 4H8M4 0V8"),
    Outcome.INCONCLUSIVE: Look(letter="?", colour="#7a7f85", tile="M2 2h1.5v1.5h-1.5zM6 6h1.5v1.5h-1.5z"),
}

_STYLE = "".join(
    f".{outcome.name.lower()} {{ fill: url(#{outcome.name.lower()}); stroke: {look.colour}; stroke-width: 1.5 }}\n"
    for outcome, look in LOOKS.items()
) + (
    ".letter { font-weight: 700; font-size: 12px; text-anchor: middle; paint-order: stroke; stroke: var(--page);"
    " stroke-width: 4px; stroke-linejoin: round }\n"
    ".mark { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 3 3; fill: none }\n"
    ".lane { fill: var(--zone) } .lane-name { fill: var(--soft); paint-order: stroke; stroke: var(--page);"
    " stroke-width: 4px }\n"
)


class _Scale:
    """From seconds to places on the sheet."""

    def __init__(self, chronicle: Chronicle) -> None:
        self.first, last = chronicle.span
        self.seconds = max(last - self.first, 0.1)
        self._left, self._right = MARGIN + 10.0, WIDTH - MARGIN - 10.0

    def __call__(self, seconds: float) -> float:
        share = (seconds - self.first) / self.seconds
        return round(self._left + share * (self._right - self._left), 1)

    def ticks(self) -> list[float]:
        """Round numbers of seconds on the sheet."""
        step = next(
            size * unit
            for unit in (0.01, 0.1, 1, 10, 100, 1000, 10000)
            for size in (1, 2, 5)
            if self.seconds / (size * unit) <= _TICKS or (unit, size) == (10000, 5)
        )
        begin = -int(-self.first // step) if self.first < 0 else int(self.first // step)
        numbers = [round(step * number, 3) for number in range(begin - 1, begin + _TICKS + 2)]
        return [each for each in numbers if self.first <= each <= self.first + self.seconds]


def draw(chronicle: Chronicle) -> str:
    """The timeline of an experiment as SVG."""
    marks = sorted(chronicle.marks, key=lambda mark: mark.at)
    canvas = Canvas(f"Timeline: {chronicle.title}", _described(chronicle, marks), _STYLE)
    _define_patterns(canvas)
    canvas.paragraph(chronicle.title, "title", size=15)
    scale = _Scale(chronicle)
    top = canvas.y + 12
    bottom = top + _FLAGS + _LANE * len(chronicle.lanes)
    for number, observations in enumerate(chronicle.lanes.values()):
        _draw_lane(canvas, top + _FLAGS + number * _LANE, _places(observations, chronicle, scale), observations)
    _draw_axis(canvas, scale, bottom)
    _draw_marks(canvas, [scale(chronicle.seconds(mark.at)) for mark in marks], top + 10, bottom)
    for number, lane in enumerate(chronicle.lanes):
        canvas.text(
            MARGIN, top + _FLAGS + number * _LANE + 12, shortened(lane, WIDTH - 2 * MARGIN, 11.5), "small lane-name"
        )
    canvas.y = bottom + 26
    for number, mark in enumerate(marks, start=1):
        _explain(canvas, number, mark, chronicle)
    _draw_legend(canvas, [outcome for outcome in Outcome if any(outcome is s.outcome for s in chronicle.observations)])
    return canvas.svg()


def _described(chronicle: Chronicle, marks: Sequence[Mark]) -> str:
    """The timeline in words, for those who cannot see it."""
    return "; ".join(f"{mark.moment.value} at {chronicle.seconds(mark.at):.2f} s" for mark in marks)


def _define_patterns(canvas: Canvas) -> None:
    for outcome, look in LOOKS.items():
        size = {"width": 8, "height": 8, "patternUnits": "userSpaceOnUse"}
        tile = canvas.define("pattern", id=outcome.name.lower(), **size)
        canvas.draw("rect", tile, width=8, height=8, fill=look.colour, fill_opacity=0.9 if not look.tile else 0.3)
        if look.tile:
            canvas.draw("path", tile, d=look.tile, stroke=look.colour, stroke_width=2, fill="none")


def _places(observations: Sequence[Observation], chronicle: Chronicle, scale: _Scale) -> list[float]:
    return [scale(chronicle.seconds(seen.observed_at)) for seen in observations]


def _draw_lane(canvas: Canvas, y: float, places: Sequence[float], seen: Sequence[Observation]) -> None:
    """A block for each look, those close together in one, and a thin line where nobody looked between two like it."""
    group = canvas.draw("g", kind="lane-of-probe")
    canvas.draw("rect", group, x=MARGIN, y=y + 18, width=WIDTH - 2 * MARGIN, height=_BAND, rx=3, kind="lane")
    lettered, index = -float(_APART), 0
    for run in runs(list(seen)):
        mine = places[index : index + run.count]
        index += run.count
        kind = run.first.outcome.name.lower()
        thin = _BAND / 2 - 2
        canvas.draw("rect", group, x=mine[0], y=y + 18 + thin, width=mine[-1] - mine[0], height=4, kind=kind)
        for begin, end in _blocks(mine):
            x, width = begin - _NARROW / 2, end - begin + _NARROW
            block = canvas.draw("rect", group, x=x, y=y + 18, width=width, height=_BAND, rx=2, kind=f"outcome {kind}")
            canvas.draw("title", block).text = printable(f"{run.last}, {run.count} looks")
            if (middle := (begin + end) / 2) - lettered >= _NARROW * 2:
                canvas.text(middle, y + 18 + _BAND / 2 + 4.2, LOOKS[run.first.outcome].letter, "letter", group)
                lettered = middle


def _blocks(places: Sequence[float]) -> list[tuple[float, float]]:
    """Places that touch each other, taken together."""
    blocks: list[tuple[float, float]] = []
    for place in places:
        if blocks and place - blocks[-1][1] <= 2 * _NARROW:
            blocks[-1] = (blocks[-1][0], place)
        else:
            blocks.append((place, place))
    return blocks


def _draw_axis(canvas: Canvas, scale: _Scale, y: float) -> None:
    canvas.draw("line", x1=MARGIN, y1=y + 2, x2=WIDTH - MARGIN, y2=y + 2, kind="line")
    for seconds in scale.ticks():
        canvas.draw("line", x1=scale(seconds), y1=y + 2, x2=scale(seconds), y2=y + 7, kind="line")
        canvas.text(scale(seconds), y + 19, f"{seconds:g} s", "small soft middle")


def _draw_marks(canvas: Canvas, places: Sequence[float], top: float, bottom: float) -> None:
    """Numbers on a row of their own, each with a line to its time; those at about one time are moved apart."""
    shown = _spread(places)
    for number, (place, at) in enumerate(zip(places, shown, strict=True), start=1):
        points = f"{at:g},{top + 9:g} {place:g},{top + 22:g} {place:g},{bottom:g}"
        canvas.draw("polyline", points=points, kind="mark")
        canvas.badge(at, top, str(number))


def _spread(places: Sequence[float]) -> list[float]:
    shown: list[float] = []
    for place in places:
        shown.append(max(place, shown[-1] + _APART) if shown else place)
    limit = WIDTH - MARGIN - 10.0
    for index in range(len(shown) - 1, -1, -1):
        shown[index] = min(shown[index], limit)
        limit = shown[index] - _APART
    return shown


def _explain(canvas: Canvas, number: int, mark: Mark, chronicle: Chronicle) -> None:
    canvas.y += 8
    canvas.badge(MARGIN + 9, canvas.y + 13, str(number), bad=mark.moment is Moment.FAILURE)
    note = f": {mark.note}" if mark.note else ""
    canvas.paragraph(f"{chronicle.seconds(mark.at):.2f} s {mark.moment.value}{note}", indent=28)


def _draw_legend(canvas: Canvas, outcomes: Sequence[Outcome]) -> None:
    canvas.y += 14
    x = float(MARGIN)
    for outcome in outcomes:
        words = outcome.value
        width = 34 + len(words) * 7.4
        if x + width > WIDTH - MARGIN:
            x, canvas.y = float(MARGIN), canvas.y + 24
        canvas.draw("rect", x=x, y=canvas.y, width=22, height=16, rx=2, kind=outcome.name.lower())
        canvas.text(x + 11, canvas.y + 12.2, LOOKS[outcome].letter, "letter")
        canvas.text(x + 28, canvas.y + 12.5, words, "small")
        x += width
    canvas.y += 16 if outcomes else -14
