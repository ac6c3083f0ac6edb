"""The plane as a GAN sees it: arrows go where D believes more."""

import numpy as np
import pytest

import tinygen as tg
from tinygen.models import gan, nets

pytest.importorskip("matplotlib", reason="pictures need tinygen[plot]")

from tinygen.plot import gan as gan_plot  # noqa: E402


def model(**options: object) -> gan.GAN:
    pair = nets.mlp_gan((2,), 2, 16, 2, packed=options.get("pack", 1))
    return gan.GAN(*pair, "non_saturating", 2, **options)


def test_arrows_point_uphill() -> None:
    net, codes = model(), tg.randn(20, 2)
    x, arrows = gan_plot.generator_arrows(net, codes)
    with tg.no_grad():
        before = net.D(tg.tensor(x)).numpy()
        after = net.D(tg.tensor(x + 1e-2 * arrows)).numpy()
    assert x.shape == arrows.shape == (20, 2)
    assert (after > before).all()
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("options", [{}, {"pack": 2}])
def test_lab_and_warp_grid_draw(options: dict[str, int], tmp_path: object) -> None:
    net, data = model(**options), tg.randn(50, 2)
    gan_plot.lab(
        net, data, tg.randn(30, 2), resolution=20, title="step 1", path=tmp_path / "lab.png"
    )
    gan_plot.warp_grid(net.G, data, lines=5, path=tmp_path / "warp.png")
    assert (tmp_path / "lab.png").stat().st_size > 1000
    assert (tmp_path / "warp.png").stat().st_size > 1000


def test_extent_is_a_square_about_all_points() -> None:
    a, b, c, d = gan_plot.extent_of(np.array([[0.0, 0.0], [4.0, 1.0]]), margin=0.5)
    assert (a, b, c, d) == (-1.0, 5.0, -2.5, 3.5)
