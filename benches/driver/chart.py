"""The figures as SVG bar charts, drawn by hand: one group of bars for each workload."""

import html

COLOURS = {
    "floor": "#c3c7cd",
    "grpc": "#8a919c",
    "brpc": "#6b7f9c",
    "brpc-done": "#8fa0b8",
    "brpc-raw": "#c5cfdd",
    "fastrpc": "#0f766e",
    "fastrpc-done": "#2a857c",
    "fastrpc-rust": "#3b9c92",
    "fastrpc-raw": "#8cc9c2",
    "fastrpc-rust-raw": "#b5dcd7",
    "fastrpc-handler": "#8cc9c2",
    "nginx": "#8a919c",
    "threads": "#8a919c",
    "by-turns": "#c3c7cd",
    "coroutines": "#0f766e",
}
WIDTH = 760
MARGIN = 24
LABEL = 180  # room left of the bars
VALUE = 110  # room right of them
BAR = 18
GAP = 6
STYLE = """
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2933; }
  .title { font-size: 17px; font-weight: 600; }
  .note { font-size: 12px; fill: #6b7280; }
  .group { font-weight: 600; }
  .value { font-variant-numeric: tabular-nums; }
  .range { stroke: #1f2933; stroke-width: 1.2; }
"""


def short(value):
    """Three digits, as they are read aloud: 1.84 M, 107 k, 9.3."""
    for unit, size in ((" M", 1e6), (" k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}" if value < 1000 * size else f"{value / size:.0f}{unit}"
    return f"{value:.3g}"


def chart(title, note, key, results, contenders, workloads):
    """The text of an SVG file, or None if nothing was measured."""
    parts = []
    y = MARGIN + 52
    for workload in workloads:
        bars = [(contender, results[workload, contender.name])
                for contender in contenders if (workload, contender.name) in results]
        bars = [(contender, result) for contender, result in bars if result.values(key)]
        if not bars:
            continue
        parts.append(_text(MARGIN, y, workload.shape, "group"))
        y += 10
        top = max(max(result.values(key)) for _, result in bars)
        for contender, result in bars:
            parts += _bar(y, contender, result, key, top)
            y += BAR + GAP
        y += 26
    if not parts:
        return None
    height = y - 26 + MARGIN
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="{html.escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(MARGIN, MARGIN + 8, title, "title"),
        _text(MARGIN, MARGIN + 26, note, "note"),
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _bar(y, contender, result, key, top):
    scale = (WIDTH - 2 * MARGIN - LABEL - VALUE) / top
    left = MARGIN + LABEL
    values = result.values(key)
    middle = y + BAR / 2
    low, value, high = (left + scale * v for v in (min(values), result.median(key), max(values)))
    colour = COLOURS.get(contender.name, "#b08968")
    parts = [
        _text(left - 8, middle + 4.5, contender.title, "label", "end"),
        f'<rect x="{left}" y="{y}" width="{max(1, value - left):.1f}" height="{BAR}" rx="2" fill="{colour}"/>',
        _text(max(value, high) + 8, middle + 4.5, short(result.median(key)), "value"),
    ]
    if high - low >= 1:
        parts.append(f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" class="range"/>')
    return parts


def _text(x, y, text, style, anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">'
            f"{html.escape(text)}</text>")
