"""The sketch of a report as a PNG, for documents that draw no SVG."""

from __future__ import annotations

import io
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from etl.report.sketch import Sketch

_SHARP = 2
"""Pixels of the picture a pixel of the sketch: it is printed."""

_FONTS = (
    "NotoSansCJK-Regular.ttc", "NotoSerifCJK-Regular.ttc", "SourceHanSansSC-Regular.otf",
    "wqy-microhei.ttc", "wqy-zenhei.ttc", "msyh.ttc", "simsun.ttc", "DejaVuSans.ttf",
)  # fmt: skip
_RED, _AMBER, _BLUE, _GREY = (179, 38, 30), (179, 92, 0), (91, 127, 166), (68, 68, 85)
_WASH, _PAPER, _BORDER = (238, 244, 251), (251, 251, 248), (185, 198, 212)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The first font of this machine that has Chinese characters, else Pillow's own."""
    for name in _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def png(sketch: Sketch) -> bytes:
    """Draw a sketch; twice its pixels."""
    k = _SHARP
    image = Image.new("RGB", (sketch.width * k, sketch.height * k), _PAPER)
    draw = ImageDraw.Draw(image, "RGBA")
    font = _font(12 * k)

    def box(shape: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        x, y, width, height = shape
        return x * k, y * k, (x + width) * k, (y + height) * k

    draw.rectangle(box(sketch.frame), fill=_WASH, outline=_BLUE, width=k)
    for line in sketch.lines:
        draw.line([(x * k, y * k) for x, y in line], fill=_BORDER, width=k)
    for x, y in sketch.points:
        draw.ellipse([(x - 3) * k, (y - 3) * k, (x + 3) * k, (y + 3) * k], fill=(*_RED, 160))
    if sketch.inset is not None:
        draw.rectangle(box(sketch.inset.city), fill="white", outline=_BLUE, width=k)
        draw.rectangle(box(sketch.inset.view), fill=(*_RED, 90), outline=_RED, width=k)
    for arrow in sketch.arrows:
        draw.polygon([(x * k, y * k) for x, y in arrow.points], fill=_AMBER)
        at = (
            min(max(arrow.at[0], 60), sketch.width - 60) * k,
            min(max(arrow.at[1], 30), sketch.height - 22) * k,
        )
        draw.text(
            at, arrow.label, _AMBER, font, anchor="ms", stroke_width=2 * k, stroke_fill=_PAPER
        )
    bottom = (sketch.height - 10) * k
    draw.line([(12 * k, bottom), ((12 + sketch.scale_px) * k, bottom)], fill=_GREY, width=k)
    draw.text(((18 + sketch.scale_px) * k, bottom), sketch.scale_label, _GREY, font, anchor="ls")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
