"""Pictures: pixels are counted, labels are read back, layouts are checked for overlaps."""

import io
import json
import os
import subprocess
import sys
from math import erf, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygen import plot
from tinygen.ops.activations import sigmoid
from tinygen.ops.elementwise import add, mul, tanh
from tinygen.ops.reductions import sum as total
from tinygen.plot.curves import read_history
from tinygen.plot.figure import COLOURS
from tinygen.plot.graph import arrange, layers, trace
from tinygen.tape import is_grad_enabled
from tinygen.tensor import Tensor, wrap

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

RNG = np.random.default_rng(0)


def leaf(*shape):
    return Tensor(RNG.normal(size=shape), requires_grad=True)


def opened(path):
    return Image.open(path)


# --- pixels -------------------------------------------------------------------------------------


@given(
    n=st.integers(1, 9), c=st.sampled_from([1, 3]), h=st.integers(1, 5), w=st.integers(1, 5),
    nrow=st.integers(1, 5), padding=st.integers(0, 3), seed=st.integers(0, 99),
)  # fmt: skip
def test_every_pixel_of_a_grid_is_where_it_belongs(n, c, h, w, nrow, padding, seed):
    images = np.random.default_rng(seed).random((n, c, h, w))
    grid = plot.grid_array(images, nrow=nrow, padding=padding, pad_value=0.2)
    cols = min(n, nrow)
    rows = -(-n // cols)
    assert grid.dtype == np.uint8
    assert grid.shape[:2] == (rows * (h + padding) - padding, cols * (w + padding) - padding)
    assert grid.ndim == (2 if c == 1 else 3)
    expected = np.full((*grid.shape[:2], c), 51, np.uint8)
    for i in range(n):
        top, left = i // cols * (h + padding), i % cols * (w + padding)
        expected[top : top + h, left : left + w] = np.rint(images[i] * 255).transpose(1, 2, 0)
    np.testing.assert_array_equal(grid.reshape(expected.shape), expected)


def test_black_and_white_pictures_do_not_melt_into_what_is_between_them():
    grid = plot.grid_array(np.array([np.zeros((2, 2)), np.ones((2, 2))]))
    assert set(grid[:, 2].tolist()) == {128}


def test_the_value_range_is_mapped_end_to_end():
    x = np.array([-1, 0, 1.0]).reshape(1, 1, 3)
    assert plot.grid_array(x, value_range=(-1, 1)).tolist() == [[0, 128, 255]]
    assert plot.grid_array(np.array([[[0, 200, 255]]], np.uint8)).tolist() == [[0, 200, 255]]
    sixteen = plot.grid_array(np.array([[[0, 8, 16]]]), value_range=(0, 16))
    assert sixteen.tolist() == [[0, 128, 255]]


def test_overshoot_is_clipped_when_slight_or_meant():
    assert plot.grid_array(np.array([[[-0.4, 1.4]]])).tolist() == [[0, 255]]
    assert plot.grid_array(np.array([[[-9.0, 9.0]]]), clip=True).tolist() == [[0, 255]]


def test_tensors_that_require_grad_lists_and_strided_arrays_are_taken():
    array = RNG.random((2, 4, 4, 1)).astype("float32").transpose(0, 3, 1, 2)
    expected = plot.grid_array(array.copy())
    x = wrap(array)
    x.requires_grad = True
    for images in (array, x, array.tolist(), array[:, 0]):
        np.testing.assert_array_equal(plot.grid_array(images), expected)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((8, 8)), {}, r"images \(N, C, H, W\) or \(N, H, W\), got shape \(8, 8\)"),
        (np.zeros((0, 1, 8, 8)), {}, r"no images in a batch of shape \(0, 1, 8, 8\)"),
        (np.zeros((2, 2, 8, 8)), {}, r"1 or 3 channels, got 2"),
        (np.full((1, 4, 4), -1.0), {}, r"from -1 to -1 do not fit in value_range \(0, 1\)"),
        (np.full((1, 4, 4), 16), {}, r"from 16 to 16 do not fit in value_range \(0, 1\)"),
        (np.full((1, 4, 4), np.nan), {}, r"16 of 16 values are NaN or infinite"),
        (np.zeros((1, 4, 4)), {"value_range": (1, 1)}, r"value_range \(low, high\), low < high"),
        (np.zeros((1, 4, 4)), {"nrow": 0}, r"nrow >= 1 and padding >= 0, got 0 and 1"),
    ],
)
def test_what_is_no_image_is_refused(images, options, message):
    for draw in (plot.grid_array, plot.image_grid):
        with pytest.raises(ValueError, match=f"{draw.__name__}: .*{message}"):
            draw(images, **options)


def test_strings_are_no_pixels():
    with pytest.raises(TypeError, match="grid_array: expected numbers, got <U1"):
        plot.grid_array(np.array([[["a"]]]))


def test_save_image_writes_each_pixel_as_a_square(tmp_path):
    images = RNG.integers(0, 256, (3, 4, 4)).astype(np.uint8)
    plot.save_image(images, tmp_path / "a.png", scale=3, nrow=2)
    grid = plot.grid_array(images, nrow=2)
    np.testing.assert_array_equal(opened(tmp_path / "a.png"), np.kron(grid, np.ones((3, 3))))
    plot.save_image(images, tmp_path / "b.png")
    assert 256 < max(opened(tmp_path / "b.png").size) <= 512 + 14


@pytest.mark.parametrize("channels", [1, 3])
def test_image_grid_shows_every_pixel_at_the_same_size(tmp_path, channels):
    images = RNG.integers(0, 256, (5, channels, 7, 6)).astype(np.uint8)
    plot.image_grid(images, nrow=3, path=tmp_path / "a.png")
    grid = plot.grid_array(images, nrow=3)
    grid = grid if channels == 3 else np.stack([grid] * 3, axis=-1)
    picture = np.asarray(opened(tmp_path / "a.png").convert("RGB"))
    zoom = picture.shape[0] // grid.shape[0]
    assert picture.shape[:2] == (grid.shape[0] * zoom, grid.shape[1] * zoom)
    np.testing.assert_array_equal(picture, grid.repeat(zoom, 0).repeat(zoom, 1))


def test_reconstruction_pairs_stand_above_each_other():
    x, y = RNG.random((7, 1, 4, 4)), RNG.random((7, 1, 4, 4))
    figure = plot.reconstruction_pairs(x, y, nrow=3)
    assert [text.get_text() for text in figure.texts] == ["original", "reconstruction"] * 3
    shown = [axes.images[0].get_array()[..., 0] for axes in figure.axes]
    for k, source in enumerate((x, y, x, y, x, y)):
        band = slice(k // 2 * 3, k // 2 * 3 + 3)
        np.testing.assert_array_equal(shown[k], plot.grid_array(source[band]))
    picture = Image.open(io.BytesIO(figure._repr_png_())).convert("L")
    zoom = round(90 / 4)
    for axes, line in zip(figure.axes, shown, strict=True):  # every pixel is a square of its own
        left, bottom = (round(v) for v in axes.get_window_extent().min)
        top = picture.height - bottom - 4 * zoom
        box = (left, top, left + line.shape[1] * zoom, top + 4 * zoom)
        np.testing.assert_array_equal(picture.crop(box), line.repeat(zoom, 0).repeat(zoom, 1))
    with pytest.raises(ValueError, match="7 originals of size .* but 6 reconstructions"):
        plot.reconstruction_pairs(x, y[:6])


# --- files --------------------------------------------------------------------------------------


def test_figures_are_files_of_the_suffix_s_kind_the_same_each_time(tmp_path):
    x = RNG.random((2, 4, 4))
    for name in ("a.png", "new/folder/a.pdf", "a.svg"):
        plot.image_grid(x, path=tmp_path / name, title="two")
        first = (tmp_path / name).read_bytes()
        plot.image_grid(x, path=tmp_path / name, title="two")
        assert first == (tmp_path / name).read_bytes()
    assert opened(tmp_path / "a.png").format == "PNG"
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["a.pdf", "a.png", "a.svg"]


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    x = np.zeros((1, 4, 4))
    (tmp_path / "file").write_text("")
    for draw in (plot.image_grid, plot.save_image):
        with pytest.raises(OSError, match=f"{draw.__name__}: cannot write .*file/a.png'"):
            draw(x, path=tmp_path / "file" / "a.png")
    with pytest.raises(OSError, match="gif: cannot write '/proc/a.gif'"):
        plot.gif([np.zeros((2, 2), np.uint8)], "/proc/a.gif")
    with pytest.raises(ValueError, match="image_grid: .* no picture format is called 'docx'"):
        plot.image_grid(x, path=tmp_path / "a.docx")
    with pytest.raises(ValueError, match="save_image: no picture format is called 'docx'"):
        plot.save_image(x, tmp_path / "a.docx")
    assert os.listdir(tmp_path) == ["file"]


def test_an_interrupted_write_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    plot.save_image(np.zeros((1, 4, 4)), path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="cannot write .*a.png': No space left on device"):
        plot.save_image(np.ones((1, 4, 4)), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.png"]


def test_a_picture_looks_the_same_whoever_saves_it(tmp_path):
    def draw(path=None):
        return plot.samples_2d([[0.0, 1.0], [2.0, 3.0]], path=path)

    draw(tmp_path / "ours.png")
    draw().savefig(tmp_path / "theirs.png")
    ours, theirs = (np.asarray(opened(tmp_path / f"{name}.png")) for name in ("ours", "theirs"))
    np.testing.assert_array_equal(ours, theirs)


def test_a_missing_matplotlib_is_named_with_its_remedy():
    code = (
        "import sys; sys.modules['matplotlib'] = sys.modules['PIL'] = None\n"
        "import numpy as np; from tinygen import plot\n"
        "plot.grid_array(np.zeros((1, 2, 2)))\n"
        "for draw, args in ((plot.image_grid, ()), (plot.save_image, ('/x/a.png',))):\n"
        "    try: draw(np.zeros((1, 2, 2)), *args)\n"
        "    except ImportError as error: print(error)\n"
    )
    root = Path(plot.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout == (
        "tinygen.plot needs matplotlib: pip install 'tinygen[plot]'\n"
        "tinygen.plot needs Pillow: pip install 'tinygen[plot]'\n"
    )


def test_pictures_leave_matplotlib_s_settings_and_pyplot_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    figure = plot.image_grid(np.zeros((1, 4, 4)), title="x")
    assert figure._repr_png_()[:4] == b"\x89PNG"
    assert dict(matplotlib.rcParams) == before


def test_a_gif_has_its_frames_and_their_times(tmp_path):
    frames = [np.full((6, 5), 20 * i, np.uint8) for i in range(7)]
    plot.gif(frames, tmp_path / "a.gif", fps=20, pause=1.5)
    picture = opened(tmp_path / "a.gif")
    assert (picture.n_frames, picture.size, picture.info["loop"]) == (7, (5, 6), 0)
    durations = []
    for i in range(7):
        picture.seek(i)
        durations.append(picture.info["duration"])
        assert np.unique(np.asarray(picture.convert("L"))).tolist() == [20 * i]
    assert durations == [50] * 6 + [1550]


def test_a_gif_of_figures_and_of_colours(tmp_path):
    figures = [plot.samples_2d(RNG.normal(size=(5, 2)), extent=(-3, 3, -3, 3)) for _ in range(3)]
    plot.gif(figures, tmp_path / "a.gif")
    assert opened(tmp_path / "a.gif").n_frames == 3
    plot.gif(RNG.integers(0, 256, (4, 8, 8, 3)).astype(np.uint8), tmp_path / "b.gif")
    assert opened(tmp_path / "b.gif").n_frames == 4


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        ([], 10, "no frames"),
        ([np.zeros((2, 2))], 10, r"uint8 arrays .* got float64 \(2, 2\)"),
        ([np.zeros((2, 2), np.uint8), np.zeros((3, 2), np.uint8)], 10, r"\[\(2, 2\), \(2, 3\)\]"),
        ([np.zeros((2, 2), np.uint8)], 99, "0 < fps <= 50, got 99"),
    ],
)
def test_frames_that_make_no_gif(frames, fps, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plot.gif(frames, tmp_path / "a.gif", fps=fps)


# --- the plane ----------------------------------------------------------------------------------


def test_manifold_codes_cut_the_normal_into_equal_cells():
    n = 6
    z = plot.manifold_codes(n).reshape(n, n, 2)
    assert (np.diff(z[0, :, 0]) > 0).all() and (np.diff(z[:, 0, 1]) < 0).all()  # right, and down
    mass = [0.5 * (1 + erf(v / sqrt(2))) for v in z[0, :, 0]]
    np.testing.assert_allclose(mass, (np.arange(n) + 0.5) / n, atol=1e-7)


def test_the_manifold_has_z1_to_the_right_and_z2_upwards():
    n = 4

    def decode(codes):  # an image of 1 x 2 pixels that shows the code itself
        assert isinstance(codes, Tensor) and codes.shape == (n * n, 2) and not is_grad_enabled()
        return codes._array.reshape(n * n, 1, 1, 2)

    figure = plot.latent_manifold(decode, n, value_range=(-2, 2), padding=0)
    grid = figure.axes[0].images[0].get_array()[..., 0].astype(float)
    z1, z2 = grid[:, 0::2], grid[:, 1::2]
    assert (np.diff(z1, axis=1) > 0).all() and (np.diff(z1, axis=0) == 0).all()
    assert (np.diff(z2, axis=0) < 0).all() and (np.diff(z2, axis=1) == 0).all()
    ticks = figure.axes[0].get_yticks()
    assert (np.diff(ticks) < 0).all() and ticks[2] == pytest.approx(n / 2 - 0.5)  # z2 = 0
    spaced = plot.latent_manifold(decode, n, value_range=(-2, 2), padding=1).axes[0]
    shown = spaced.images[0].get_array()[..., 0]
    assert shown[::2, 0::3].tolist() == grid[:, ::2].tolist() and not shown[1::2].any()
    assert spaced.get_yticks()[2] == pytest.approx((2 * n - 1) / 2 - 0.5)
    with pytest.raises(ValueError, match="decode made 3 images of 16 codes"):
        plot.latent_manifold(lambda z: np.zeros((3, 4, 4)), n)


def test_latent_scatter_names_each_class_once_and_colours_its_points():
    z, y = RNG.normal(size=(30, 2)), np.repeat([3, 1, 2], 10)
    axes = plot.latent_scatter(Tensor(z, requires_grad=True), y).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["1", "2", "3"]
    for label, dots, mark in zip((1, 2, 3), axes.collections, axes.texts, strict=True):
        np.testing.assert_allclose(dots.get_offsets(), z[y == label], rtol=1e-6)
        np.testing.assert_allclose(mark.get_position(), np.median(z[y == label], 0), rtol=1e-6)
    named = plot.latent_scatter(z, y, names=["a", "b", "c", "d"]).axes[0]
    assert [text.get_text() for text in named.get_legend().get_texts()] == ["b", "c", "d"]
    assert plot.latent_scatter(z).axes[0].get_legend() is None


def test_latent_scatter_refuses_what_does_not_fit():
    z = np.zeros((4, 2))
    with pytest.raises(ValueError, match=r"points of shape \(N, 2\), got \(4, 3\)"):
        plot.latent_scatter(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"no points \(shape \(0, 2\)\)"):
        plot.latent_scatter(np.zeros((0, 2)))
    with pytest.raises(ValueError, match=r"4 codes need labels of shape \(4,\), got \(3,\)"):
        plot.latent_scatter(z, [0, 1, 2])
    with pytest.raises(ValueError, match="labels run from 0 to 5, but there are 2 names"):
        plot.latent_scatter(z, [0, 1, 2, 5], names=["a", "b"])


# Machado, Oliveira and Fernandes 2009, severity 1: what the three kinds of dichromats see.
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def lab(colour, seen_by):
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(seen_by) @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
              [0.0193339, 0.1191920, 0.9503041]]  # fmt: skip
    x, y, z = np.cbrt(np.array(to_xyz) @ linear / [0.95047, 1, 1.08883])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("kind", ["normal", *BLINDNESS])
def test_the_ten_colours_stay_apart_for_every_eye(kind):
    seen = np.array([lab(colour, BLINDNESS.get(kind, np.eye(3))) for colour in COLOURS])
    apart = np.linalg.norm(seen[:, None] - seen, axis=-1) + 1e3 * np.eye(len(COLOURS))
    assert apart.min() > 15  # matplotlib's own ten colours: 4.6 for protan eyes


def test_density_2d_evaluates_at_the_right_places():
    calls = []

    def log_density(x):
        calls.append(x.shape[0])
        assert not is_grad_enabled()
        a = x._array
        return wrap(-((a[:, :1] - 1) ** 2) - (a[:, 1:] + 2) ** 2)  # (M, 1): a peak at (1, -2)

    extent = (-3, 3, -4, 4)
    axes = plot.density_2d(log_density, extent, [[0.0, 1.0]], resolution=121).axes[0]
    image = axes.images[0]
    row, col = np.unravel_index(image.get_array().argmax(), (121, 121))
    assert (np.linspace(-3, 3, 121)[col], np.linspace(-4, 4, 121)[row]) == (1, -2)
    assert image.origin == "lower" and image.get_array().max() == 1 and sum(calls) == 121**2
    assert max(calls) <= 10_000 and len(axes.collections) == 1


def test_a_critic_is_shown_with_its_values():
    figure = plot.density_2d(lambda x: 3 * x._array[:, 0], (-1, 1, -1, 1), kind="critic")
    values = figure.axes[0].images[0].get_array()
    assert (values.min(), values.max()) == pytest.approx((-3, 3)) and len(figure.axes) == 2


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (lambda x: np.zeros((len(x), 2)), {}, r"gave shape \(2500, 2\) for 2500 points"),
        (lambda x: np.full(len(x), -np.inf), {}, "the largest log density on the grid is -inf"),
        (lambda x: np.full(len(x), np.nan), {"kind": "critic"}, "2500 of 2500 values are NaN"),
        (lambda x: np.zeros(len(x)), {"kind": "pdf"}, "'log_density' or 'critic', got 'pdf'"),
        (lambda x: np.zeros(len(x)), {"extent": (1, 0, 0, 1)}, "extent must be"),
    ],
)
def test_functions_that_are_no_density(function, options, message):
    with pytest.raises(ValueError, match=message):
        plot.density_2d(function, resolution=50, **options)


def test_samples_2d_keeps_title_and_legend_apart():
    figure = plot.samples_2d(RNG.normal(size=(5, 2)), RNG.normal(size=(5, 2)), title="a title")
    figure.draw_without_rendering()
    title, legend = figure.axes[0].title, figure.axes[0].get_legend()
    assert title.get_window_extent().y0 >= legend.get_window_extent().y1


def test_samples_2d_lays_the_model_over_the_data():
    x, real = RNG.normal(size=(9, 2)), RNG.normal(size=(5, 2))
    axes = plot.samples_2d(x, real, extent=(-2, 2, -3, 3)).axes[0]
    assert [len(dots.get_offsets()) for dots in axes.collections] == [5, 9]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["data", "model"]
    assert (axes.get_xlim(), axes.get_ylim()) == ((-2, 2), (-3, 3))
    with pytest.raises(ValueError, match="samples_2d: 1 of 4 values are NaN"):
        plot.samples_2d([[0.0, 1.0], [2.0, float("nan")]])


def test_paths_2d_draws_a_line_a_point_and_a_dot_where_it_ends():
    paths = RNG.normal(size=(4, 3, 2))
    axes = plot.paths_2d(paths, extent=(-2, 2, -3, 3), title="flow").axes[0]
    assert np.array_equal([line.get_xydata() for line in axes.lines], paths.transpose(1, 0, 2))
    assert np.array_equal(axes.collections[0].get_offsets(), paths[-1])
    assert (axes.get_title(), axes.get_ylim()) == ("flow", (-3, 3))
    with pytest.raises(ValueError, match=r"paths_2d: expected \(S, N, 2\).*got \(4, 3\)"):
        plot.paths_2d(paths[:, :, 0])
    with pytest.raises(ValueError, match="paths_2d: 1 of 24 values are NaN"):
        plot.paths_2d(np.where(paths == paths[2, 1, 0], np.nan, paths))


# --- curves -------------------------------------------------------------------------------------


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.floats(0, 0.99))
@settings(max_examples=50)
def test_ema_is_the_weighted_mean_of_what_came(values, smoothing):
    weights = smoothing ** np.arange(len(values))[::-1]
    expected = weights @ np.array(values) / weights.sum()
    assert plot.ema(values, smoothing)[-1] == pytest.approx(expected, abs=1e-6)


def test_ema_passes_over_nan():
    out = plot.ema([np.nan, 2.0, np.nan, 4.0], 0.5)
    np.testing.assert_allclose(out, [np.nan, 2, 2, (0.25 * 2 + 0.5 * 4) / 0.75])
    with pytest.raises(ValueError, match="0 <= smoothing < 1, got 1"):
        plot.ema([1.0], 1)


def write_log(path, rows, tail=""):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)
    return path


def test_a_log_may_lack_keys_in_rows_repeat_steps_and_end_half_written(tmp_path):
    rows = [
        {"step": 0, "loss": 5.0, "note": "start", "done": False},
        {"step": 10, "loss": 4.0, "test": 6.0},
        {"step": 20, "loss": 9.0},
        {"step": 10, "loss": 3.0, "lr": None},
        {"step": 20, "loss": float("nan")},
        {"step": 15, "loss": 3.5},
    ]
    found = plot.read_log(write_log(tmp_path / "log.jsonl", rows, '{"step": 30, "lo'))
    assert list(found) == ["loss", "test"]
    np.testing.assert_array_equal(found["loss"], [[0, 10, 15, 20], [5, 3, 3.5, np.nan]])
    np.testing.assert_array_equal(found["test"], [[10], [6]])


def test_a_broken_line_inside_a_log_is_named(tmp_path):
    path = write_log(tmp_path / "log.jsonl", [{"step": 0, "loss": 1}], 'oops\n{"step": 1}\n')
    with pytest.raises(ValueError, match=r"log.jsonl, line 2: not JSON"):
        plot.read_log(path)
    path.write_text("[1, 2]\n")
    with pytest.raises(ValueError, match=r"line 1: expected a JSON object, got '\[1, 2\]'"):
        plot.read_log(path)
    with pytest.raises(FileNotFoundError):
        plot.read_log(tmp_path / "none.jsonl")


def test_curves_of_one_unit_share_a_panel_and_long_ones_are_smoothed(tmp_path):
    rows = [{"step": 5 * i, "epoch": i, "elbo": float(i), "lr": 0.1} for i in range(40)]
    rows[-1] = {"step": 195, "test": 3.0}
    path = write_log(tmp_path / "log.jsonl", rows)
    figure = plot.curves(path, units={"elbo": "nats", "test": "nats", "lr": ""}, smoothing=0.5)
    top, bottom = figure.axes
    raw, smooth, test = top.lines
    assert [text.get_text() for text in top.get_legend().get_texts()] == ["elbo", "test"]
    assert (top.get_ylabel(), bottom.get_ylabel(), bottom.get_xlabel()) == ("nats", "lr", "step")
    np.testing.assert_array_equal(raw.get_xdata(), 5 * np.arange(39))
    np.testing.assert_array_equal(raw.get_ydata(), np.arange(39))
    np.testing.assert_allclose(smooth.get_ydata(), plot.ema(range(39), 0.5))
    assert raw.get_alpha() < 0.5 and raw.get_color() == smooth.get_color() != test.get_color()
    assert test.get_xdata().tolist() == [195] and test.get_marker() == "o"


def test_sparse_values_are_drawn_as_they_are_and_dense_ones_smoothed_by_steps(tmp_path):
    """A test value every 10 of 400 steps that falls by 1 each time lags by 9 if smoothed so."""
    rows = [{"step": i, "elbo": float(i % 7)} for i in range(1, 401) if i % 9]
    rows += [{"step": i, "test": -i / 10.0} for i in range(10, 401, 10)]
    (axes,) = plot.curves(write_log(tmp_path / "log.jsonl", rows)).axes
    raw, smooth, test = axes.lines
    np.testing.assert_allclose(test.get_ydata(), -test.get_xdata() / 10.0)
    assert test.get_marker() == "o" and len(test.get_xdata()) == 40
    step, value = raw.get_xdata(), raw.get_ydata()
    weights = 0.9 ** (step[-1] - step) * (1 - 0.9 ** np.diff(step, prepend=0))
    assert smooth.get_ydata()[-1] == pytest.approx(weights @ value / weights.sum())


def test_curves_from_lists_with_and_without_their_steps():
    history = {"step": [0, 100, 200], "loss": [3, 2, 1], "time": [0.1, 0.2, 0.3]}
    (axes,) = plot.curves(history, units="nats", log=True).axes
    assert axes.lines[0].get_xdata().tolist() == [0, 100, 200]
    assert (axes.get_ylabel(), axes.get_yscale()) == ("loss (nats)", "log")
    found = read_history({"a": [1, 2], "b": leaf(3)})
    assert found["a"][0].tolist() == [0, 1] and len(found["b"][1]) == 3


@pytest.mark.parametrize(
    ("history", "options", "message"),
    [
        ({"loss": [1.0]}, {"keys": ["los"]}, "the history has no 'los'; it has loss"),
        ({}, {}, "nothing to draw in the history"),
        ({"loss": []}, {}, "nothing to draw"),
        ({"step": [1, 2], "loss": [1.0]}, {}, r"'loss' has shape \(1,\), expected 2 numbers"),
        ({"loss": [[1.0]]}, {}, r"'loss' has shape \(1, 1\), expected a list of numbers"),
    ],
)
def test_histories_that_make_no_curve(history, options, message):
    with pytest.raises(ValueError, match=message):
        plot.curves(history, **options)


# --- graphs -------------------------------------------------------------------------------------


def test_dot_of_a_known_graph():
    x, w = leaf(2, 3), leaf(3)
    h = tanh(mul(x, w))
    y = total(add(mul(h, h), wrap(np.ones(3, "float32"))))
    assert plot.to_dot(y, {"w": w, 'a "b"': x}) == (
        "digraph {\n"
        '  node [shape=box, style="rounded,filled", fillcolor="#ffffff"]\n'
        '  n0 [label="a \\"b\\"\\n2 × 3", style=filled, fillcolor="#dcebfa"]\n'
        '  n1 [label="w\\n3", style=filled, fillcolor="#dcebfa"]\n'
        '  n2 [label="mul\\n2 × 3"]\n'
        '  n3 [label="tanh\\n2 × 3"]\n'
        '  n4 [label="mul\\n2 × 3"]\n'
        '  n5 [label="add\\n2 × 3"]\n'
        '  n6 [label="sum\\nscalar"]\n'
        "  n0 -> n2\n  n1 -> n2\n  n2 -> n3\n  n3 -> n4\n  n3 -> n4\n  n4 -> n5\n  n5 -> n6\n"
        "}\n"
    )


def test_dot_of_a_leaf_of_a_freed_graph_and_of_a_deep_one():
    x = leaf(2)
    assert '"leaf\\n2"' in plot.to_dot(x)
    y = total(tanh(x))
    before = plot.to_dot(y)
    y.backward()
    assert plot.to_dot(y) == before
    for _ in range(20_000):
        x = sigmoid(x)
    assert plot.to_dot(x).count("sigmoid") == 20_000


def test_a_module_names_its_leaves():
    class Module:
        w = leaf(2)

        def named_parameters(self):
            yield "layer.w", self.w

    assert "layer.w" in plot.to_dot(tanh(Module.w), Module())


def test_tensors_without_a_graph():
    for draw in (plot.to_dot, plot.draw_graph):
        with pytest.raises(ValueError, match=f"{draw.__name__}: the tensor has no graph"):
            draw(tanh(wrap(np.ones(2))))
        with pytest.raises(TypeError, match="expected a Tensor, got int"):
            draw(3)
        with pytest.raises(TypeError, match="params: expected .* got list"):
            draw(leaf(2), [1])
    x = leaf(2)
    for _ in range(10):
        x = tanh(x)
    with pytest.raises(ValueError, match="11 vertices are too many to read .max_vertices=10"):
        plot.draw_graph(x, max_vertices=10)


@st.composite
def graphs(draw):
    """A random program of up to 25 ops on 3 leaves."""
    made = [leaf(2), leaf(2), leaf(2)]
    for _ in range(draw(st.integers(1, 25))):
        a, b = (made[draw(st.integers(0, len(made) - 1))] for _ in range(2))
        made.append(draw(st.sampled_from([lambda a, b: tanh(a), add, mul]))(a, b))
    return made[-1]


@given(graphs())
@settings(max_examples=60, deadline=None)
def test_arrows_go_down_and_boxes_do_not_overlap(tensor):
    graph = trace(tensor)
    depth = layers(graph)
    assert all(depth[a] > depth[b] for a, b in graph.edges) and depth[-1] == 0
    widths = [0.5 + 0.1 * i for i in range(len(depth))]
    layout = arrange(graph, widths)
    boxes = widths + [0.25] * (len(layout.x) - len(widths))
    for y in np.unique(layout.y):
        row = np.flatnonzero(layout.y == y)
        row = row[np.argsort(layout.x[row])]
        room = (np.array(boxes)[row][1:] + np.array(boxes)[row][:-1]) / 2
        assert (np.diff(layout.x[row]) >= room - 1e-9).all()
    for path, (a, b) in zip(layout.paths, dict.fromkeys(graph.edges), strict=True):
        assert (path[0], path[-1]) == (a, b)
        np.testing.assert_array_equal(np.diff(layout.y[path]), -1)


def test_the_drawing_has_every_name_and_every_arrow():
    from matplotlib.patches import FancyArrowPatch

    w, b = leaf(3), leaf(3)
    h = tanh(add(w, b))
    y = total(mul(h, w))
    axes = plot.draw_graph(y, {"w": w, "b": b}).axes[0]
    texts = sorted(text.get_text() for text in axes.texts)
    assert texts == sorted("b w add tanh mul sum 3 3 3 3 3 scalar".split())
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == 6


def test_a_drawing_is_a_picture(tmp_path):
    x = leaf(2)
    plot.draw_graph(total(mul(x, tanh(x))), {"x": x}, path=tmp_path / "graph.png")
    pixels = np.asarray(Image.open(io.BytesIO((tmp_path / "graph.png").read_bytes())).convert("L"))
    assert 0.01 < (pixels < 200).mean() < 0.5
