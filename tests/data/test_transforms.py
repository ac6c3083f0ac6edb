"""Transforms: against Pillow, closed forms, and properties that every draw has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygen as tg
from tinygen.data import transforms as T
from tinygen.testing import check_grads

SETTINGS = settings(deadline=None, max_examples=25)


def seeded(seed=0):
    return tg.Generator().manual_seed(seed)


@pytest.mark.parametrize(("old", "new"), [(32, 8), (32, 31), (28, 64), (30, 7), (9, 9)])
def test_resize_is_pillows(old, new):
    Image = pytest.importorskip("PIL.Image")
    x = np.random.default_rng(0).random((old, old)).astype(np.float32)
    want = np.asarray(Image.fromarray(x).resize((new, new), Image.Resampling.BILINEAR))
    got = T.resize(tg.tensor(x)[None, None], new).numpy()[0, 0]
    assert np.allclose(got, want, atol=1e-5)


@SETTINGS
@given(st.integers(2, 20), st.integers(1, 20), st.integers(1, 20))
def test_resize_keeps_a_flat_picture_and_has_gradients(old, height, width):
    x = tg.full((1, 2, old, old), 0.3, dtype=tg.float64)
    assert np.allclose(T.resize(x, (height, width)).numpy(), 0.3)
    if old < 6:
        small = tg.randn(1, 1, old, old, dtype=tg.float64, generator=seeded())
        check_grads(lambda v: T.resize(v, (height, width)), small.requires_grad_())


@SETTINGS
@given(st.integers(1, 12), st.integers(0, 3), st.integers(0, 1000))
def test_a_crop_is_a_part_of_its_picture(size, padding, seed):
    x = tg.arange(2 * 3 * 12 * 12).reshape(2, 3, 12, 12).float() + 1
    out = T.random_crop(x, size, padding, seeded(seed)).numpy()
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    for one, source in zip(out, padded):
        windows = np.lib.stride_tricks.sliding_window_view(source, (size, size), axis=(1, 2))
        assert (windows.transpose(1, 2, 0, 3, 4) == one).all((2, 3, 4)).any()


def test_draws_differ_within_a_batch_and_repeat_with_a_seed():
    x = tg.rand(64, 1, 8, 8, generator=seeded())
    turned = T.random_flip(x, generator=seeded(1)).numpy()
    mirrored = (turned == x.numpy()[..., ::-1]).all((1, 2, 3))
    assert 15 < mirrored.sum() < 49 and (turned[~mirrored] == x.numpy()[~mirrored]).all()
    assert (T.random_flip(x, 0.0) == x).all() and (
        T.random_flip(T.random_flip(x, 1.0), 1.0) == x
    ).all()
    crops = [T.random_crop(x, 4, generator=seeded(s)).numpy() for s in (2, 2, 3)]
    assert (crops[0] == crops[1]).all() and not (crops[0] == crops[2]).all()


def test_colours():
    x = tg.rand(5, 3, 4, 4, generator=seeded())
    grey = T.to_grey(x)
    assert np.allclose(
        grey.numpy()[:, 0], (x.numpy() * np.array([0.299, 0.587, 0.114]).reshape(3, 1, 1)).sum(1)
    )
    assert (T.colour_jitter(x, 0, 0, 0) == x).all()
    out = T.colour_jitter(x, 0.5, 0.5, 0.5, seeded(1))
    assert out.shape == x.shape and out.min() >= 0 and out.max() <= 1 and not (out == x).all()
    flat = tg.full((1, 3, 4, 4), 0.5)
    dim = T.colour_jitter(flat, 0.2, 0, 0, seeded(3)).numpy()
    assert np.ptp(dim) < 1e-6 and 0.4 <= dim[0, 0, 0, 0] <= 0.6


def test_edges_and_blur_in_closed_form():
    step = tg.zeros(1, 2, 8, 8)
    step[:, 1, :, 4:] = 1.0
    e = T.edges(step).numpy()[0, 0]
    assert np.allclose(e[:, 3:5], 1) and np.allclose(e[:, :3], 0) and np.allclose(e[:, 5:], 0)
    assert np.allclose(T.edges(step.transpose(2, 3)).numpy()[0, 0], e.T)
    dot = tg.zeros(1, 1, 25, 25, dtype=tg.float64)
    dot[0, 0, 12, 12] = 1.0
    spread = T.blur(dot, 2.0).numpy()[0, 0]
    at = np.arange(25) - 12
    assert spread.sum() == pytest.approx(1) and (spread.sum(0) * at**2).sum() == pytest.approx(
        4, rel=0.03
    )
    assert (T.blur(dot, 0.0) == dot).all()


def test_degrade_makes_small_noisy_pictures():
    x = tg.rand(4, 3, 32, 32, generator=seeded())
    small = T.degrade(x, 4, noise=0.0)
    assert small.shape == (4, 3, 8, 8)
    assert (T.degrade(x, 4, noise=0.1, generator=seeded(1)) - small).std().item() == pytest.approx(
        0.1, rel=0.1
    )
    with pytest.raises(ValueError, match="a factor of 3 does not divide 32 x 32"):
        T.degrade(x, 3)


def test_masks():
    box = T.box_mask(50, 16, 0.25, seeded())
    assert box.shape == (50, 1, 16, 16) and set(np.unique(box.numpy())) == {0.0, 1.0}
    assert np.allclose(1 - box.numpy().mean((1, 2, 3)), 0.25) and not (box[0] == box[1]).all()
    free = T.free_form_mask(20, 32, generator=seeded()).numpy()
    holes = 1 - free.mean((1, 2, 3))
    assert free.shape == (20, 1, 32, 32) and (holes > 0.05).all() and (holes < 0.8).all()
    assert T.free_form_mask(20, 32, width=0.02, generator=seeded()).numpy().mean() > free.mean()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"resize: expected pictures \(B, C, H, W\), got \(3, 4\)"):
        T.resize(tg.zeros(3, 4), 2)
    with pytest.raises(ValueError, match=r"to_grey: expected pictures \(B, 3, H, W\)"):
        T.to_grey(tg.zeros(1, 1, 4, 4))
    with pytest.raises(ValueError, match="size 9 out of pictures of 8 x 8"):
        T.random_crop(tg.zeros(1, 1, 8, 8), 9)
