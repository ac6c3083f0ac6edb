"""ADA: nothing at p = 0, everything seen through it, p that follows how sure D is of the data."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen.models.gan import AdaptiveAugment, augmented
from tinygen.models.gan.augment import colour_maps, plane_maps
from tinygen.testing import gradcheck, gradgradcheck


def pictures(n: int, channels: int = 3, side: int = 8) -> tg.Tensor:
    return tg.rand(n, channels, side, side, dtype="float64") * 2 - 1


def np_of(x: tg.Tensor) -> np.ndarray:
    return x.detach().numpy()


def test_at_zero_it_is_the_identity() -> None:
    x = pictures(4)
    before = tg.get_rng_state()
    assert augmented(x, 0.0) is x and AdaptiveAugment()(x) is x
    assert np.array_equal(before, tg.get_rng_state())
    assert np.array_equal(plane_maps(5, 8, 0.0), np.stack([np.eye(3)] * 5))
    assert np.allclose(colour_maps(5, 0.0), np.eye(3, 4), atol=1e-15)
    assert augmented(x[:0], 1.0).shape == (0, 3, 8, 8)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_each_picture_is_changed_in_its_own_way(channels: int) -> None:
    tg.manual_seed(0)
    x = pictures(1, channels).expand(6, channels, 8, 8)
    y = np_of(augmented(x, 1.0))
    assert y.shape == (6, channels, 8, 8) and np.isfinite(y).all()
    assert len(np.unique(y.reshape(6, -1).round(6), axis=0)) == 6


def test_a_share_p_of_the_pictures_is_changed() -> None:
    tg.manual_seed(0)
    none = np.stack([np.eye(3)] * 4000)
    for p in (0.1, 0.5):
        stays = np.isclose(plane_maps(4000, 8, p), none).all((1, 2)).mean()
        # of a mirroring and its like, some do nothing where they are done
        by_hand = (1 - p / 2) * (1 - p * 3 / 4) ** 2 * (1 - p) ** 4
        assert stays == pytest.approx(by_hand, abs=0.03)
        stays = np.isclose(colour_maps(4000, p), np.eye(3, 4)).all((1, 2)).mean()
        assert stays == pytest.approx((1 - p) ** 4 * (1 - p / 2), abs=0.03)


def test_colours_by_hand() -> None:
    """Hue, saturation and luma leave grey on the grey axis; without light nothing is moved."""
    tg.manual_seed(0)
    maps = colour_maps(200, 1.0)
    grey = maps[:, :, :3] @ np.ones(3)
    assert np.allclose(grey, grey[:, :1]) and (grey[:, 0] < 0).mean() == pytest.approx(0.5, abs=0.1)
    assert np.allclose(maps[:, :, 3], maps[:, :1, 3])
    volume = np.linalg.det(maps[:, :, :3])  # contrast^3, saturation^2, luma's sign
    assert ((volume < 0) == (grey[:, 0] < 0)).all()


def test_moves_by_hand() -> None:
    """Half a turn of the plane is the picture upside down; edges are mirrored, not black."""
    tg.manual_seed(0)
    maps = plane_maps(3000, 8, 1.0)
    area = abs(np.linalg.det(maps))
    assert np.log2(area).mean() == pytest.approx(0, abs=0.03)  # as often larger as smaller
    assert (np.linalg.det(maps) < 0).mean() == pytest.approx(0.5, abs=0.05)  # mirrored
    ones = tg.ones(50, 1, 8, 8, dtype="float64")
    y = np_of(augmented(ones, 1.0))
    assert np.allclose(y, y[:, :, :1, :1])


def test_it_is_linear_in_the_picture_and_differentiable_twice() -> None:
    x = pictures(1, 3, 2).requires_grad_()

    def run(x: tg.Tensor) -> tg.Tensor:
        tg.manual_seed(4)
        return augmented(x, 0.8)

    assert gradcheck(run, x) and gradgradcheck(run, x)


# --- p ------------------------------------------------------------------------------------------


def fed(ada: AdaptiveAugment, *signs: float, n: int = 10) -> float:
    for sign in signs:
        ada.update(tg.full((n,), sign))
    return round(ada.p.item(), 6)


def test_p_follows_the_sign_statistic() -> None:
    ada = AdaptiveAugment(target=0.6, images=400)
    assert fed(ada, 1, 1, 1) == 0  # each four batches
    assert fed(ada, 1) == 0.1  # 40 pictures of 400
    assert fed(ada, *[5] * 8) == 0.3  # by the sign, not by the size
    assert fed(ada, 1, 1, 1, -1) == 0.2  # r = 0.5, below the target
    assert fed(ada, *[-1] * 20) == 0  # never below 0
    assert fed(ada, *[1] * 80) == 1
    half = AdaptiveAugment(target=0.5, images=400)
    assert fed(half, 1, 1, 1, -1) == 0  # at the target it stays
    mixed = AdaptiveAugment(target=0.6, images=100, every=1)
    mixed.update(tg.tensor([1.0] * 9 + [-1.0]))  # r = 0.8
    assert round(mixed.p.item(), 6) == 0.1


def test_its_state_is_in_a_checkpoint() -> None:
    ada, other = AdaptiveAugment(images=400), AdaptiveAugment(images=400)
    fed(ada, *[1] * 6)
    other.load_state_dict(ada.state_dict())
    assert fed(other, 1, 1) == fed(ada, 1, 1) == 0.2


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"augmented: expected p in \[0, 1\], got 1.5"):
        augmented(pictures(1), 1.5)
    with pytest.raises(ValueError, match="AdaptiveAugment: expected images >= 1, got 0"):
        AdaptiveAugment(images=0)
