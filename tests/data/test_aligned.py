"""Pairs that lie on each other."""

import numpy as np
import pytest

from tinygen import data
from tinygen.data.aligned import ALIGNED, PALETTE


@pytest.mark.parametrize("name", ALIGNED)
def test_pairs_are_pictures_of_one_size_that_belong_together(name: str) -> None:
    x, y, found = data.aligned(name, "test")
    assert x.shape[0] == y.shape[0] == len(found) and x.shape[2:] == y.shape[2:] == (32, 32)
    for part in (x, y):
        assert part.dtype == np.float32 and np.abs(part.numpy()).max() <= 1.0
    assert np.array_equal(y.numpy(), found.to_symmetric().numpy())
    a, b = (
        p.numpy() - p.numpy().mean(0) for p in (data.transforms.edges(x), data.transforms.edges(y))
    )
    together, apart = ((a * np.roll(b, k, 0)).mean() for k in (0, 1))
    assert together > 3 * abs(apart), "edges of x lie on those of its own y"


def test_what_is_given() -> None:
    lines, _, emoji = data.aligned("lines", "test")
    assert np.array_equal(data.to_uint8(lines, low=-1).numpy(), emoji.details["line"].numpy())
    grey, y, _ = data.aligned("grey", "test")
    assert np.allclose(
        grey.numpy()[:, 0], (y.numpy() * [[[0.299]], [[0.587]], [[0.114]]]).sum(1), atol=1e-5
    )
    labels, _, scenes = data.aligned("labels", "test")
    pixels = data.to_uint8(labels, low=-1).numpy().transpose(0, 2, 3, 1)
    classes = np.abs(pixels[..., None, :] - np.array(PALETTE)).sum(-1)
    assert (classes.min(-1) == 0).all()
    assert np.array_equal(classes.argmin(-1), scenes.details["label_map"].numpy()[:, 0])


def test_bad_names() -> None:
    with pytest.raises(
        ValueError, match="no pairs are called 'colour'; there are lines, labels, grey"
    ):
        data.aligned("colour")
    with pytest.raises(ValueError, match="no split is called 'all'; there are train and test"):
        data.aligned("labels", "all")
