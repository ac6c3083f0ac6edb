"""VQ-GAN: who is asked for what, and lambda at the decoder's last layer."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen.autograd import grad
from tinygen.models.nets import PatchDiscriminator
from tinygen.models.vq import VQGAN, adaptive_weight
from tinygen.models.vq.vqgan import build

CONFIG = {"shape": (1, 8, 8), "width": 4, "dim": 4, "size": 8, "halvings": 1, "d_width": 4,
          "d_halvings": 1}  # fmt: skip


def model_and_data(**more: object) -> tuple[VQGAN, tg.Tensor]:
    tg.manual_seed(0)
    return build(CONFIG | more), 2.0 * tg.rand(6, 1, 8, 8) - 1.0


def test_lambda_is_the_paper_s() -> None:
    model, x = model_and_data(perceptual=0.5, judge=0.3)
    made, _ = model.eval().G(x)
    close = (made - x).abs().mean() + 0.5 * model.distance(made, x).mean()
    fooled = -model.D(made).mean()
    near, far = (np.linalg.norm(grad(loss, model.last, retain_graph=True)[0].numpy())
                 for loss in (close, fooled))  # fmt: skip
    terms = model.terms((x,))
    assert terms["lambda"].item() == pytest.approx(near / (far + 1e-4), rel=1e-5)
    assert adaptive_weight(close, fooled * 1e-9, model.last, most=7.0).item() == 7.0
    whole = close + terms["codes"] + 0.3 * terms["lambda"] * fooled
    assert terms["loss"].item() == pytest.approx(whole.item(), rel=1e-5)


def test_both_gradients_are_of_one_length_at_the_last_layer() -> None:
    model, x = model_and_data(perceptual=0.0, judge=1.0)
    terms = model.terms((x,))
    pull = grad(terms["lambda"] * terms["adversarial"], model.last, retain_graph=True)[0].norm()
    close = grad(terms["error"], model.last, retain_graph=True)[0].norm()
    assert pull.item() == pytest.approx(close.item(), rel=0.02)
    whole = terms["error"] + terms["codes"] + terms["lambda"] * terms["adversarial"]
    assert terms["loss"].item() == pytest.approx(whole.item(), rel=1e-6)
    assert not terms["lambda"].requires_grad


def test_before_its_start_the_judge_has_no_say() -> None:
    model, x = model_and_data()
    terms = model.terms((x,), adversarial=False)
    assert set(terms) == {"loss", "error", "perceptual", "codes"}
    terms["loss"].backward()
    assert all(p.grad is None for p in model.D.parameters())
    assert all(p.grad is not None for p in model.G.parameters())


def test_the_judge_s_loss_does_not_reach_the_autoencoder() -> None:
    model, x = model_and_data()
    terms = model.discriminator_terms((x,))
    real, fake = model.D(x), model.D(model(x))
    hinge = (1.0 - real).relu().mean() + (1.0 + fake).relu().mean()
    terms["loss"].backward()
    assert all(p.grad is None for p in model.G.parameters())
    assert terms["loss"].item() == pytest.approx(hinge.item(), rel=0.05)  # the codebook has moved


def test_the_distance_s_network_is_no_part_of_the_state() -> None:
    model, x = model_and_data()
    before = set(model.state_dict())
    model.terms((x,))
    assert set(model.state_dict()) == before and not any("look" in name for name in before)


@pytest.mark.parametrize(("halvings", "field"), [(0, 1), (1, 16), (2, 34), (3, 70)])
def test_a_verdict_sees_its_patch_and_nothing_else(halvings: int, field: int) -> None:
    tg.manual_seed(0)
    D = PatchDiscriminator(1, 2, halvings).double()
    D.norms = tg.nn.ModuleList(tg.nn.Identity() for _ in D.norms)  # which see the whole picture
    size = 2 * field + 8 * 2**halvings
    x = tg.randn(1, 1, size, size, dtype=tg.float64, requires_grad=True)
    verdicts = D(x)
    middle = verdicts.shape[2] // 2
    verdicts[0, 0, middle, middle].backward()
    rows = np.flatnonzero(x.grad.numpy()[0, 0].any(1))
    assert D.receptive_field == field == rows[-1] - rows[0] + 1


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="VQGAN: expected perceptual >= 0"):
        build(CONFIG | {"perceptual": -1.0})
    with pytest.raises(ValueError, match="PatchDiscriminator: expected halvings >= 0, got -1"):
        PatchDiscriminator(1, 4, -1)


@pytest.mark.parametrize("dtype", [tg.float16, tg.float64])
def test_it_learns_in_another_precision(dtype: object) -> None:
    model, x = model_and_data()
    exact = model.eval().terms((x,))
    terms = model.to(dtype=dtype).terms((x.to(dtype),))
    for name in ("error", "perceptual", "adversarial"):
        assert terms[name].item() == pytest.approx(exact[name].item(), rel=0.01, abs=0.01), name
    terms["loss"].backward()
    assert all(p.grad.dtype == dtype and p.grad.isfinite().all() for p in model.G.parameters())
