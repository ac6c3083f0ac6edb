"""DCGAN's D on an encoding: it sees codes and nothing else, and the encoder stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen.autograd import grad
from tinygen.models import gan
from tinygen.models.gan import dcgan

CONFIG = {"shape": (1, 8, 8), "width": 2, "latent": 3, "encoding": 2}


def test_the_encoder_stays_and_g_learns_through_it() -> None:
    tg.manual_seed(0)
    model, x = dcgan.build(CONFIG), tg.rand(6, 1, 8, 8)
    now = lambda: [p.detach().numpy().copy() for p in model.D.parameters()]
    before = now()
    opt = tg.optim.SGD(model.D.parameters(), lr=0.5)
    model.discriminator_terms((x,))["loss"].backward()
    opt.step()
    with gan.frozen(model.D):
        model.generator_terms(6)["loss"].backward()
    encoder = len(list(model.D[0].parameters()))
    changed = [bool((p != q).any()) for p, q in zip(now(), before)]
    assert changed == [False] * encoder + [True] * (len(changed) - encoder)
    assert all(np.abs(p.grad.numpy()).max() > 0 for p in list(model.G.parameters())[-2:])


def test_what_has_one_code_is_one_to_d() -> None:
    tg.manual_seed(0)
    model = dcgan.build(CONFIG).double()
    x = tg.rand(1, 1, 8, 8, dtype="float64", requires_grad=True)
    slopes = [grad(model.D[0](x)[0, i], [x])[0].numpy().ravel() for i in range(2)]
    seen = np.linalg.qr(np.stack(slopes, 1))[0]
    (slope,) = grad(model.D(x).sum(), [x])
    rest = slope.numpy().ravel() - seen @ (seen.T @ slope.numpy().ravel())
    assert np.abs(slope.numpy()).max() > 1e-9 and np.abs(rest).max() < 1e-12


def test_bad_input_is_named() -> None:
    for extra in ({"pack": 2}, {"minibatch": 2}):
        with pytest.raises(ValueError, match="dcgan: a D on an encoding sees one code"):
            dcgan.build(CONFIG | extra)
    with pytest.raises(ValueError, match="on_encoding: expected code >= 1"):
        dcgan.on_encoding((1, 8, 8), 0)
