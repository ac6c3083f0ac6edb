"""Quantisers and VQ-VAE: rounding, codebooks, their moving averages, and the bound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygen as tg
from tinygen.models import vq
from tinygen.models.likelihoods import logistic_bins
from tinygen.models.vq import Codebook, FiniteScalar, Product, Quantiser, Residual
from tinygen.models.vq.vqvae import QUANTISERS, build


def made(kind: str) -> Quantiser:
    """One of each, for maps of 4 channels."""
    tg.manual_seed(0)
    return {
        "codebook": lambda: Codebook(6, 4),
        "loss": lambda: Codebook(6, 4, decay=None),
        "residual": lambda: Residual([Codebook(6, 4) for _ in range(3)]),
        "scales": lambda: Residual([Codebook(6, 4)], [1, 2, 4]),
        "product": lambda: Product([Codebook(6, 2), Codebook(6, 2)]),
        "fsq": lambda: FiniteScalar([3, 4, 5, 2]),
    }[kind]()


each = pytest.mark.parametrize("kind", ["codebook", "loss", "residual", "scales", "product", "fsq"])


@each
def test_integers_stand_for_what_the_decoder_gets(kind: str) -> None:
    q, z = made(kind).eval().double(), tg.randn(3, 4, 4, 4, dtype=tg.float64)
    out = q(z)
    assert out.indices.shape == (3, q.tokens(4, 4)) and out.z.shape == z.shape
    assert out.indices.min().item() >= 0 and out.indices.max().item() < q.size
    again = q.lookup(out.indices, 4, 4)
    assert (again - out.z).abs().max().item() < 1e-12


@each
def test_the_gradient_goes_straight_through(kind: str) -> None:
    q = made(kind).eval().double()
    z = tg.randn(2, 4, 4, 4, dtype=tg.float64, requires_grad=True)
    g = tg.randn(2, 4, 4, 4, dtype=tg.float64)
    (q(z).z * g).sum().backward()
    if kind == "fsq":  # through the tanh that bounds z, which is smooth; not through the rounding
        slope = q.reach * (1.0 - (z.detach() + q.shift).tanh().square()) / q.middle
        assert np.allclose(z.grad.numpy(), (g * slope).numpy(), atol=1e-12)
    else:
        assert (z.grad == g).all()


def test_the_loss_pulls_vectors_to_z_and_z_to_vectors() -> None:
    book = Codebook(6, 4, beta=0.3, decay=None).eval().double()
    z = tg.randn(2, 4, 3, 3, dtype=tg.float64, requires_grad=True)
    out = book(z)
    e = book.lookup(out.indices, 3, 3)
    assert out.loss.item() == pytest.approx(1.3 * (z - e).square().mean().item(), rel=1e-12)
    out.loss.backward()
    assert np.allclose(z.grad.numpy(), 0.6 * (z - e).detach().numpy() / z.numel())
    pull = np.zeros((6, 4))
    rows = (e - z).detach().movedim(1, -1).reshape(-1, 4).numpy()
    np.add.at(pull, out.indices.flatten().numpy(), 2.0 * rows / z.numel())
    assert np.allclose(book.vectors.grad.numpy(), pull)


def test_a_full_batch_with_decay_0_is_a_step_of_k_means() -> None:
    book = Codebook(5, 2, decay=0.0, restart=0.0).double()
    z = tg.randn(8, 2, 3, 3, dtype=tg.float64)
    book.begin(z.movedim(1, -1).reshape(-1, 2))
    rows, before = z.movedim(1, -1).reshape(-1, 2).numpy(), book.vectors.numpy().copy()
    for _ in range(3):
        nearest = np.square(rows[:, None] - before).sum(2).argmin(1)
        book(z)
        lloyd = np.stack([rows[nearest == k].mean(0) for k in range(5)])
        assert np.allclose(book.vectors.numpy(), lloyd, atol=1e-12)
        before = lloyd


def test_moving_averages_are_those_of_the_paper() -> None:
    book = Codebook(3, 2, decay=0.9, restart=0.0).double()
    z = [tg.randn(4, 2, 2, 2, dtype=tg.float64) for _ in range(3)]
    book.begin(z[0].movedim(1, -1).reshape(-1, 2))
    counts, sums = np.ones(3), book.vectors.numpy().copy()
    for x in z:
        rows = x.movedim(1, -1).reshape(-1, 2).numpy()
        nearest = np.square(rows[:, None] - book.vectors.numpy()).sum(2).argmin(1)
        book(x)
        one = np.eye(3)[nearest]
        counts, sums = 0.9 * counts + 0.1 * one.sum(0), 0.9 * sums + 0.1 * one.T @ rows
        assert np.allclose(book.vectors.numpy(), sums / counts[:, None], atol=1e-12)
    book.eval()(z[0])
    assert np.allclose(book.counts.numpy(), counts), "it moved in evaluation mode"


def test_a_codebook_that_holds_every_vector_is_exact() -> None:
    book = Codebook(4, 3).eval().double()
    z = book.vectors[tg.tensor([[0, 3], [2, 1]])].movedim(-1, 1).unsqueeze(-1).contiguous()
    out = book(z)
    assert (out.z == z).all() and out.loss.item() == 0.0
    assert out.indices.tolist() == [[0, 3], [2, 1]]


@pytest.mark.parametrize("restart", [0.0, 0.1])
def test_dead_vectors_begin_anew_where_data_is(restart: float) -> None:
    tg.manual_seed(0)
    book = Codebook(8, 2, decay=0.9, restart=restart)
    book.started.fill_(1.0)
    book._put(slice(None), tg.cat([tg.zeros(1, 2), 100.0 + tg.randn(7, 2)]))
    z = tg.randn(32, 2, 2, 2)
    used = [vq.perplexity(book(z).indices, 8) for _ in range(60)]
    assert used[0] == pytest.approx(1.0)
    assert used[-1] > 5.0 if restart else used[-1] == pytest.approx(1.0)


def test_all_scales_and_what_is_left_are_the_latent() -> None:
    """Each step quantises the average of what the steps before have left, and takes it away."""
    q, z = made("scales").eval().double(), tg.randn(2, 4, 4, 4, dtype=tg.float64)
    out, book, resize = q(z), q.books[0], tg.nn.functional.interpolate
    left, parts, start = z, [], 0
    for side in (1, 2, 4):
        averaged = resize(left, (side, side), mode="area").movedim(1, -1).reshape(-1, 4)
        found = book.nearest(averaged).reshape(2, -1)
        assert (found == out.indices[:, start : start + side**2]).all()
        start += side**2
        parts.append(resize(book.lookup(found, side, side), (4, 4), mode="bicubic"))
        left = left - parts[-1]
        assert (q.lookup(out.indices[:, :start], 4, 4) - sum(parts)).abs().max().item() < 1e-12
    assert start == 21 and (sum(parts) + left - z).abs().max().item() < 1e-12
    assert (z - out.z - left).abs().max().item() < 1e-12, "what is left is not the last residual"


def test_residual_steps_go_on_where_the_last_one_stopped() -> None:
    q, z = made("residual").eval().double(), tg.randn(2, 4, 3, 3, dtype=tg.float64)
    left, found = z, []
    for book in q.books:
        out = book(left)
        found.append(out.indices)
        left = left - out.z
    assert (tg.cat(found, 1) == q(z).indices).all()
    assert (q(z).z - (z - left)).abs().max().item() < 1e-12


@pytest.mark.parametrize("levels", [2, 3, 4, 5, 8])
def test_finite_scalar_reaches_every_value_and_no_other(levels: int) -> None:
    q = FiniteScalar([levels]).double()
    z = tg.linspace(-6.0, 6.0, 4001, dtype=tg.float64).reshape(1, 1, -1, 1)
    out = q(z)
    values = np.unique(out.z.numpy())
    assert len(values) == levels == q.size
    assert np.allclose(values, (np.arange(levels) - levels // 2) / (levels // 2))
    assert out.indices.unique().tolist() == list(range(levels))
    assert (np.diff(out.z.flatten().numpy()) >= 0).all()


def test_perplexity_lies_between_one_and_all() -> None:
    tg.manual_seed(0)
    assert vq.perplexity(tg.zeros(5, 3).long(), 7) == pytest.approx(1.0)
    assert vq.perplexity(tg.arange(14) % 7, 7) == pytest.approx(7.0)
    assert 1.0 < vq.perplexity(tg.tensor([0, 0, 1]), 7) < 2.0
    for n in (1, 3, 40):  # and not above the number of values that occur
        some = tg.randint(7, (n,))
        assert 1.0 - 1e-12 <= vq.perplexity(some, 7) <= len(some.unique()) + 1e-12 <= 7.0 + 1e-12


@pytest.mark.parametrize("kind", QUANTISERS)
def test_no_other_scale_of_the_error_gives_a_higher_bound(kind: str) -> None:
    tg.manual_seed(0)
    config = {"shape": (2, 8, 8), "width": 4, "dim": 4, "size": 8, "quantiser": kind, "levels": 9}
    model, x = build(config), tg.randint(9, (12, 2, 8, 8)).float() / 4.0 - 1.0
    x[:, 1] *= 0.25
    x[:, 1] = (4.0 * x[:, 1]).round() / 4.0  # a channel that is nearly even
    terms = model.terms((x,))
    assert terms["loss"].item() == pytest.approx((terms["error"] + terms["codes"]).item())
    model.eval().measure(x)
    best, found = model.log_prob_bound(x).mean().item(), model.log_scale.clone()
    assert np.allclose(model.usage.sum(1).numpy(), 1.0) and np.ptp(found.numpy()) > 0.1
    for channel, by in itertools.product(range(2), (-0.1, 0.1)):
        model.log_scale.copy_(found)
        model.log_scale[channel] += by
        assert model.log_prob_bound(x).mean().item() < best, "the scale was not the best one"


@tg.no_grad()
def test_the_bound_is_one_term_of_the_exact_sum_over_all_codes() -> None:
    tg.manual_seed(0)
    config = {"shape": (1, 2, 2), "width": 12, "halvings": 1, "dim": 2, "size": 5, "levels": 3}
    model = build(config).double()
    rows = list(itertools.product([-1.0, 0.0, 1.0], repeat=4))
    x = tg.tensor(rows, dtype=tg.float64).reshape(-1, 1, 2, 2)  # all pictures that there are
    model.terms((x,))
    model.eval().measure(x)
    codes = tg.arange(5).unsqueeze(1)  # one integer a picture
    log_p = [
        prior + logistic_bins(x, model.decode(code), model.log_scale, 3).sum((1, 2, 3))
        for prior, code in zip(model.log_usage(codes), codes.split(1))
    ]
    exact = tg.logsumexp(tg.stack(log_p), 0)
    assert exact.exp().sum().item() == pytest.approx(1.0, abs=1e-7)
    bound, chosen = model.log_prob_bound(x).numpy(), model.encode(x)[:, 0].tolist()
    assert (bound < exact.numpy()).all() and len(set(chosen)) > 1
    expected = [log_p[k][i].item() for i, k in enumerate(chosen)]
    assert np.allclose(bound, expected, atol=1e-12)
    told = model.log_prob_bound(x, tg.zeros(81) - 2.0).numpy()
    assert np.allclose(told - bound, -2.0 - model.log_usage(model.encode(x)).numpy(), atol=1e-6)


@each
@pytest.mark.parametrize("shape", [(2, 5, 4, 4), (2, 1, 4, 4), (2, 4, 4)])
def test_vectors_of_another_length_are_named(kind: str, shape: tuple[int, ...]) -> None:
    """Of one channel too, which would broadcast."""
    q = made(kind)
    with pytest.raises(ValueError, match=f"{type(q).__name__}: expected vectors .B, 4, H, W., got"):
        q(tg.zeros(*shape))


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="20 vectors begin at those of the first batch, .* 4;"):
        Codebook(20, 3)(tg.randn(1, 3, 2, 2))
    with pytest.raises(ValueError, match="expected rising scales >= 1, got \\[2, 1\\]"):
        Residual([Codebook(4, 2)], [2, 1])
    with pytest.raises(ValueError, match="9 x 9 pixels cannot be halved 2 times"):
        build({"shape": (1, 9, 9)})
    with pytest.raises(ValueError, match="quantiser 'vqq'; there are ema, loss, residual"):
        build({"shape": (1, 8, 8), "quantiser": "vqq"})
    model = build({"shape": (1, 8, 8), "width": 4, "dim": 4, "size": 8})
    with pytest.raises(ValueError, match=r"expected integers 0 \.\. 7, got 0 \.\. 8"):
        model.decode(tg.tensor([[0, 8, 1, 1]]))
    scales = build({"shape": (1, 8, 8), "width": 4, "size": 8, "quantiser": "scales"})
    for codes in (model, scales):
        with pytest.raises(
            ValueError, match=rf"integers \(B, {codes.tokens}\), got int64 \(1, 9\)"
        ):
            codes.decode(tg.zeros(1, 9).long())
    for read in (model, model.encode):
        with pytest.raises(ValueError, match=r"expected pictures .*got \(2, 1, 4, 4\)"):
            read(tg.zeros(2, 1, 4, 4))
    for number in (float("nan"), float("inf")):  # some vector is the nearest of NaN, too
        with pytest.raises(ValueError, match="VQVAE.encode: expected finite pictures, got some"):
            model.eval().encode(tg.full((1, 1, 8, 8), number))
    with pytest.raises(ValueError, match="expected 256 grey values from -1 to 1, got others"):
        model.log_prob_bound(tg.zeros(2, 1, 8, 8) + 0.001)
