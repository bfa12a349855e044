"""The picture of what scripts/bench found: an SVG that reads on light and on dark pages.

One row for each workload: how long each program took, as a multiple of curl's time (of the
quickest other's, where curl cannot do it), on a logarithmic scale. ftpfs is the bar that begins at
1, to the left where it is quicker; the others are marks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench_results import Results

NAME = "ftpfs"
OURS = ("ftpfs", "ftpfs-url")  # the mount, else the URL command
REFERENCE = "curl"
SHAPES = {
    "lftp": "circle",
    "lftp-4": "ring",
    "rclone": "square",
    "rclone-off": "frame",
    "rclone-copy": "diamond",
}
NAMES = {
    "lftp-4": "lftp, 4 parallel",
    "rclone": "rclone mount",
    "rclone-off": "with no cache",
    "rclone-copy": "rclone copy",
}

WIDTH = 900
LEFT, RIGHT = 290, 800  # of the scale; labels before it, seconds behind
ROW, BAR, MARK = 23, 11, 4.2  # heights; the last is half of one
TOP, HEADING, PAD = 76, 40, 14
STEP = 4.0  # between two lines of the scale
CHARACTER = 6.6  # width of one, about, for the legend

FONT = '12.5px system-ui, "Segoe UI", "DejaVu Sans", sans-serif'
PAGE, TEXT, FAINT, LINE, BETTER, WORSE, LFTP, RCLONE = range(8)
LIGHT = ("#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#1a7f37", "#bc4c00", "#0969da", "#8250df")
DARK = ("#0d1117", "#f0f6fc", "#9198a1", "#3d444d", "#3fb950", "#f0883e", "#58a6ff", "#bc8cff")


@dataclass(frozen=True)
class Row:
    label: str
    seconds: float  # of ftpfs
    ratio: float  # of ftpfs to the reference
    others: dict[str, float]  # ratios of the other programs


@dataclass(frozen=True)
class Scale:
    """Ratios to places on the page; `low` and `high` are powers of STEP."""

    low: float
    high: float

    def x(self, ratio: float) -> float:
        span = math.log(self.high) - math.log(self.low)
        return LEFT + (RIGHT - LEFT) * (math.log(ratio) - math.log(self.low)) / span

    def lines(self) -> list[float]:
        steps = round(math.log(self.high / self.low, STEP))
        return [self.low * STEP**n for n in range(steps + 1)]


def plot(networks: Sequence[Results]) -> str:
    """The text of the SVG; a network or workload without a run of ftpfs is left out."""
    panels = [(results.rtt_ms, rows) for results in networks if (rows := rows_of(results))]
    ratios = [r for _, rows in panels for row in rows for r in (row.ratio, *row.others.values())]
    scale = fitting(ratios)
    parts, y = list(_legend()), float(TOP)
    for rtt_ms, rows in panels:
        parts += _panel(rtt_ms, rows, scale, y)
        y += HEADING + ROW * len(rows) + PAD
    return _page(parts, y)


def rows_of(results: Results) -> list[Row]:
    rows = []
    for workload, title in results.titles.items():
        ours = next((name for name in OURS if results.median(workload, name)), NAME)
        seconds = results.median(workload, ours)
        reference = reference_of(results, workload)
        ratio = reference and results.ratio(workload, ours, reference)
        if not seconds or not reference or not ratio:
            continue
        usual = results.median(workload, reference) or math.nan
        medians = {name: results.median(workload, name) for name in SHAPES if name != reference}
        others = {name: median / usual for name, median in medians.items() if median}
        label = title if reference == REFERENCE else f"{title} (1 = {reference})"
        rows.append(Row(label, seconds, ratio, others))
    return rows


def reference_of(results: Results, workload: str) -> str | None:
    """Curl, or else the quickest of the others."""
    if results.median(workload, REFERENCE):
        return REFERENCE
    found = [(median, name) for name in SHAPES if (median := results.median(workload, name))]
    return min(found)[1] if found else None


def fitting(ratios: Sequence[float]) -> Scale:
    """A scale on which all lie, and at least a step to each side of 1."""
    low = min(math.floor(math.log(min(ratios, default=1), STEP)), -1)
    high = max(math.ceil(math.log(max(ratios, default=1), STEP)), 1)
    return Scale(STEP**low, STEP**high)


# -- drawing --------------------------------------------------------------------------------------


def _style(colours: Sequence[str]) -> str:
    """No variables: not every program that shows an SVG knows them."""
    fills = {
        "page": PAGE, "text": TEXT, "text.faint": FAINT, "better": BETTER, "worse": WORSE,
        "circle": LFTP, "square": RCLONE, "diamond": RCLONE, "ring": PAGE, "frame": PAGE,
    }  # fmt: skip
    strokes = {"line": LINE, "line.one": FAINT, "ring": LFTP, "frame": RCLONE}
    rules = [f".{name} {{ fill: {colours[n]} }}" for name, n in fills.items()]
    rules += [f".{name} {{ stroke: {colours[n]} }}" for name, n in strokes.items()]
    return " ".join(rules)


def _styles() -> str:
    shapes = ".ring, .frame { stroke-width: 1.8 } .title { font-weight: 600 }"
    ends = ".right { text-anchor: end } .middle { text-anchor: middle }"
    dark = f"@media (prefers-color-scheme: dark) {{ {_style(DARK)} }}"
    return "\n".join([f".text {{ font: {FONT} }}", shapes, ends, _style(LIGHT), dark])


def _page(parts: Sequence[str], height: float) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}"'
        f' viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    )
    title = "<title>Time of ftpfs and others for each workload, as a multiple of curl's</title>"
    page = f'<rect class="page" width="{WIDTH}" height="{height:.0f}" rx="8"/>'
    return "\n".join([head, title, f"<style>{_styles()}</style>", page, *parts, "</svg>", ""])


def _legend() -> Iterator[str]:
    yield _text(20, 28, "Time for each workload, 1 = as long as curl; left is quicker", "title")
    x, y = 20.0, 52
    for style, words in (("better", f"{NAME}, quicker"), ("worse", f"{NAME}, slower")):
        yield f'<rect class="{style}" x="{x}" y="{y - BAR + 1}" width="22" height="{BAR}"/>'
        yield _text(x + 28, y, words)
        x += 48 + CHARACTER * len(words)
    for name, shape in SHAPES.items():
        words = NAMES.get(name, name)
        yield _mark(shape, x + MARK, y - MARK)
        yield _text(x + 14, y, words)
        x += 36 + CHARACTER * len(words)


def _panel(rtt_ms: int, rows: Sequence[Row], scale: Scale, top: float) -> Iterator[str]:
    first = top + HEADING
    bottom = first + ROW * len(rows)
    yield _text(20, top + 24, f"RTT {rtt_ms} ms" if rtt_ms else "Local network (RTT 0)", "title")
    yield _text(WIDTH - 20, first - 10, NAME, "right faint")
    for ratio in scale.lines():
        x, style = scale.x(ratio), "line one" if ratio == 1 else "line"
        yield f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="{first - 4}" y2="{bottom}"/>'
        yield _text(x, first - 10, _ratio_text(ratio), "middle faint")
    for n, row in enumerate(rows):
        yield from _row(row, scale, first + ROW * (n + 0.5))


def _row(row: Row, scale: Scale, y: float) -> Iterator[str]:
    begin, end = sorted((scale.x(1), scale.x(row.ratio)))
    style = "better" if row.ratio <= 1 else "worse"
    yield _text(LEFT - 12, y + 4, row.label, "right")
    yield (
        f'<rect class="{style}" x="{begin:.1f}" y="{y - BAR / 2}" height="{BAR}"'
        f' width="{max(end - begin, 2):.1f}"/>'
    )
    for name, ratio in row.others.items():
        yield _mark(SHAPES[name], scale.x(ratio), y)
    yield _text(WIDTH - 20, y + 4, f"{row.seconds:.2g} s", "right faint")


def _mark(shape: str, x: float, y: float) -> str:
    if shape in ("circle", "ring"):
        return f'<circle class="{shape}" cx="{x:.1f}" cy="{y:.1f}" r="{MARK}"/>'
    if shape == "diamond":
        points = f"{x:.1f},{y - MARK:.1f} {x + MARK:.1f},{y:.1f} {x:.1f},{y + MARK:.1f}"
        return f'<polygon class="{shape}" points="{points} {x - MARK:.1f},{y:.1f}"/>'
    side = 2 * MARK - 0.6
    corner = f'x="{x - side / 2:.1f}" y="{y - side / 2:.1f}"'
    return f'<rect class="{shape}" {corner} width="{side:.1f}" height="{side:.1f}"/>'


def _ratio_text(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 1 else f"1/{1 / ratio:.0f}"


def _text(x: float, y: float, words: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="text {style}">{escape(words)}</text>'
