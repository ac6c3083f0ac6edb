"""Pictures of the lessons: one palette, alternative texts, short films, sliders without a kernel.

    figures.style()                            once, in a lesson's first cell
    figures.show(figure, alt="...")            instead of plt.show()
    figures.film(pictures, alt="...")          a loop that moves wherever a PNG is shown
    figures.slider(pictures, labels, "beta", alt="...")

`film` and `slider` return what a notebook shows when it stands last in a cell; elsewhere call its
`display()`. Pictures are Figures or uint8 arrays (H, W, 3), all of one size; a generator may draw
them one after the other, and a Figure is closed as soon as it is rendered.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PALETTE", "Shown", "film", "show", "slider", "style"]

# Okabe and Ito (2008): eight colours that colour-blind eyes tell apart.
PALETTE = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "orange": "#E69F00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
    "yellow": "#F0E442",
}
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
DPI = 120
FILM = 400_000  # bytes
SLIDER = 600_000  # bytes of all its frames


@dataclass(frozen=True)
class Shown:
    """What a notebook shows: for each output its data and metadata by MIME type."""

    outputs: tuple[tuple[dict[str, str], dict[str, Any]], ...]

    def display(self) -> None:
        """Show it here; outside of a notebook, print the alternative text."""
        shell = _shell()
        for data, metadata in self.outputs:
            if shell is None:
                print(data["text/plain"])
            else:
                shell.display_pub.publish(data, metadata)

    def _ipython_display_(self) -> None:
        self.display()


def style() -> None:
    """Set matplotlib's defaults for a lesson: palette, line styles, sizes, 120 dpi.

    Colours C0 to C7 are `PALETTE` in its order, and lines drawn one after the other differ in their
    dashes too, so that they stay apart in black and white.

    >>> from tinygen.lessons import figures
    >>> import matplotlib
    >>> with matplotlib.rc_context():
    ...     figures.style()
    ...     matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][:2]
    ['#0072B2', '#D55E00']
    """
    import matplotlib
    from cycler import cycler

    matplotlib.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=list(PALETTE.values())) + cycler(linestyle=LINES),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "axes.labelsize": 9,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "legend.fontsize": 8,
            "legend.framealpha": 0.7,
            "figure.dpi": DPI,
            "savefig.dpi": "figure",
        }
    )


def show(figure: Figure, alt: str) -> None:
    """Show a Figure with the text that says what is to be seen in it, and close it.

    ValueError where `alt` is empty.
    """
    picture = _png_of(figure, bbox_inches="tight")
    _close(figure)
    Shown((_image(picture, alt, "show"),)).display()


def film(
    frames: Iterable[Any],
    alt: str,
    fps: float = 10,
    pause: float = 1.5,
    still: int = -1,
    dpi: int = 80,
    colors: int = 128,
) -> Shown:
    """A loop of pictures as an animated PNG, which every renderer of notebooks shows.

    (nbconvert leaves out image/gif, and scripts do not run everywhere.) The frame number `still`,
    by default the last one, stands first for `pause` seconds: it is what a printed page keeps.

    Args:
        frames: Figures or uint8 arrays (H, W, 3), at least two, all of one size.
        alt: what is to be seen, in words.
        fps: frames a second.
        dpi: of the frames that are Figures.
        colors: at most this many, 2 to 256, common to all frames.

    Raises:
        ValueError: no `alt`, fewer than two frames, frames of several sizes, or a file above
            400 kB; the text says how to shrink it.
    """
    pictures = _pictures(frames, dpi, "film")
    n, still = len(pictures), range(len(pictures))[still]
    order = [still, *(k for k in range(n) if not (k == still == n - 1))]
    reduced = _reduced([pictures[k] for k in order], colors)
    times = [round(1000 * pause), *[round(1000 / fps)] * (len(order) - 1)]
    buffer = io.BytesIO()
    reduced[0].save(
        buffer, "png", save_all=True, append_images=reduced[1:], duration=times, loop=0
    )  # fmt: skip
    if (size := buffer.tell()) > FILM:
        raise ValueError(
            f"film: {size / 1000:.0f} kB, allowed {FILM / 1000:.0f}: take fewer frames than {n}, a "
            f"smaller figure than {pictures[0].width} x {pictures[0].height} pixels (dpi={dpi}), "
            f"or fewer colours than colors={colors}"
        )
    return Shown((_image(buffer.getvalue(), alt, "film"),))


def slider(
    pictures: Iterable[Any],
    labels: Sequence[Any],
    name: str,
    alt: str,
    start: int = 0,
    dpi: int = 100,
    colors: int = 128,
) -> Shown:
    """Pictures behind a slider: no kernel, no library; a strip of them where no script runs.

    Two outputs: the strip, a PNG of at most eight of the pictures, and the slider, which hides the
    strip where it works.

    Args:
        pictures: Figures or uint8 arrays (H, W, 3), at least two, all of one size.
        labels: the value at each picture, as it is to be written.
        name: what the slider moves: "beta", "steps".
        alt: what is to be seen, in words.
        start: the index of the first picture to be seen.

    Raises:
        ValueError: no `alt`, fewer than two pictures, another number of labels, several sizes, or
            more than 600 kB; the text says how to shrink it.
    """
    frames = _pictures(pictures, dpi, "slider")
    if len(frames) != len(labels):
        raise ValueError(f"slider: {len(frames)} pictures, but {len(labels)} labels; give one each")
    files = [_file(*_reduced([frame], colors)) for frame in frames]
    if (size := sum(map(len, files))) > SLIDER:
        raise ValueError(
            f"slider: {size / 1000:.0f} kB, allowed {SLIDER / 1000:.0f}: take fewer pictures than "
            f"{len(frames)}, a smaller figure (dpi={dpi}), or fewer colours than colors={colors}"
        )
    values = [str(label) for label in labels]
    captions = [f"{name} = {value}" for value in values]
    strip = _file(*_reduced([_strip(frames, captions)], colors))
    still = _image(strip, f"{alt} ({name}: {', '.join(values)})", "slider")
    encoded, first = [_base64(file) for file in files], range(len(files))[start]
    page = _page(encoded, values, name, alt, first, _base64(strip))
    return Shown((still, ({"text/html": page, "text/plain": f"[slider: {name}]"}, {})))


def _shell() -> Any:
    """The notebook that this runs in, None where it is none."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def _image(png: bytes, alt: str, name: str) -> tuple[dict[str, str], dict[str, Any]]:
    if not alt.strip():
        raise ValueError(f"{name}: alt is empty; say what is to be seen in the picture")
    data = {"image/png": _base64(png), "text/plain": f"[{alt}]"}
    return data, {"image/png": {"alt": alt}}


def _base64(file: bytes) -> str:
    return base64.b64encode(file).decode("ascii")


def _png_of(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None}, **options)
    return buffer.getvalue()


def _close(figure: Figure) -> None:
    from matplotlib import pyplot

    pyplot.close(figure)


def _pictures(given: Iterable[Any], dpi: int, name: str) -> list[Any]:
    """Pillow's images, RGB, at least two and all of one size."""
    found = [_picture(picture, dpi, name) for picture in given]
    sizes = {picture.size for picture in found}
    if len(found) < 2 or len(sizes) > 1:
        raise ValueError(
            f"{name}: expected two or more pictures of one size, got {len(found)} of the sizes "
            f"{sorted(sizes)} (width, height)"
        )
    return found


def _picture(picture: Any, dpi: int, name: str) -> Any:
    from PIL import Image

    if hasattr(picture, "savefig"):
        image = Image.open(io.BytesIO(_png_of(picture, dpi=dpi))).convert("RGB")
        _close(picture)
        return image
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise ValueError(
            f"{name}: expected Figures or uint8 arrays (H, W, 3), as plot.grid_array makes them; "
            f"got {array.dtype} {array.shape}"
        )
    return Image.fromarray(array).convert("RGB")


def _reduced(pictures: list[Any], colors: int) -> list[Any]:
    """The pictures with a common palette: a PNG has only one. Undithered: dots would flicker.

    The most frequent colours stay as they are, so that white is white.
    """
    from PIL import Image

    some = pictures[:: max(1, len(pictures) // 16)]
    width, height = pictures[0].size
    montage: Any = Image.new("RGB", (width, height * len(some)))
    for k, picture in enumerate(some):
        montage.paste(picture, (0, k * height))
    frequent = [color for _, color in sorted(montage.getcolors(1 << 24), reverse=True)]
    cut: Any = np.reshape(montage.quantize(colors, dither=Image.Dither.NONE).getpalette(), (-1, 3))
    chosen: list[Any] = []
    for color in [*frequent[: colors // 2], *cut]:  # Pillow looks colours up in steps of 4
        if all(abs(np.subtract(color, other)).max() > 8 for other in chosen):
            chosen.append(color)
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.asarray(chosen[:colors], np.uint8).tobytes())
    return [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures]


def _file(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _strip(pictures: list[Any], captions: list[str], most: int = 8) -> Any:
    """At most `most` of the pictures with their captions, the first and the last among them."""
    from PIL import Image, ImageDraw

    n = min(most, len(pictures))
    chosen = [round(k * (len(pictures) - 1) / (n - 1)) for k in range(n)]
    width, height = pictures[0].size
    columns = min(4 if width <= 1.5 * height else 2, n)
    shrink = min(1.0, 1200 / columns / width)
    width, height, head = round(shrink * width), round(shrink * height), 16
    strip = Image.new("RGB", (columns * width, -(-n // columns) * (height + head)), "white")
    pen = ImageDraw.Draw(strip)
    for k, index in enumerate(chosen):
        x, y = k % columns * width, k // columns * (height + head)
        pen.text((x + 8, y + 2), captions[index], fill="black")
        small = pictures[index].resize((width, height), Image.Resampling.LANCZOS)
        strip.paste(small, (x, y + head))
    return strip


# Without scripts nothing of this is seen. The strip is found by the end of its file and hidden.
PAGE = """<div id="ID" class="tinygen-slider" role="group"></div>
<script>
(() => {
  const root = document.getElementById("ID");
  const files = FILES, labels = LABELS, name = NAME, alt = ALT;
  const image = document.createElement("img");
  const range = document.createElement("input");
  const value = document.createElement("output");
  Object.assign(range, {type: "range", min: 0, max: files.length - 1, step: 1, value: START});
  range.setAttribute("aria-label", name);
  range.style.cssText = "width: min(24em, 60%); vertical-align: middle";
  image.style.cssText = "display: block; max-width: 100%";
  const turn = () => {
    const k = Number(range.value);
    image.src = "data:image/png;base64," + files[k];
    image.alt = `${alt} (${name} = ${labels[k]})`;
    value.textContent = ` ${name} = ${labels[k]}`;
    range.setAttribute("aria-valuetext", labels[k]);
  };
  range.addEventListener("input", turn);
  root.replaceChildren(range, value, image);
  turn();
  for (const other of document.images)
    if (other !== image && other.src.trim().endsWith("STRIP")) other.style.display = "none";
})();
</script>"""


def _page(files: list[str], labels: list[str], name: str, alt: str, start: int, strip: str) -> str:
    """The slider, its frames in the script: nothing is loaded, nothing is asked of a kernel."""
    values = {
        "ID": "slider-" + re.sub(r"\W+", "-", f"{name}-{files[0][-24:-16]}"),
        "FILES": json.dumps(files),
        "LABELS": _script(labels),
        "NAME": _script(name),
        "ALT": _script(alt),
        "START": str(start),
        "STRIP": strip[-80:],
    }
    return re.sub(rf"\b({'|'.join(values)})\b", lambda word: values[word[0]], PAGE)


def _script(value: Any) -> str:
    """JSON that may stand in a <script>."""
    return json.dumps(value).replace("</", "<\\/")
