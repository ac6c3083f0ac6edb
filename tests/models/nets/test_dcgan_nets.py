"""GAN networks do what their papers ask: guidelines, singular values, blindness to batch-mates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import nn
from tinygen.models import gan, nets
from tinygen.testing import check_grads


@pytest.mark.parametrize(
    ("shape", "width"), [((1, 8, 8), 4), ((1, 28, 28), 4), ((3, 32, 32), 2), ((3, 64, 64), 2)]
)
@pytest.mark.parametrize("norm", ["batch", "layer", "spectral", "none"])
def test_dcgan_fits_the_data(shape: tuple[int, ...], width: int, norm: str) -> None:
    generator, judge = nets.dcgan(shape, 5, width, norm=norm)
    fake = generator(tg.randn(3, 5))
    assert fake.shape == (3, *shape) and fake.dtype == tg.float32
    assert float(abs(fake._array).max()) <= 1.0
    out = judge(fake)
    assert out.shape == (3,)
    out.sum().backward()
    params = [*generator.parameters(), *judge.parameters()]
    assert all(p.grad is not None for p in params)


def test_dcgan_keeps_its_guidelines() -> None:
    generator, judge = (list(net) for net in nets.dcgan((1, 28, 28), 5, 4))
    kinds = lambda net: [type(layer).__name__ for layer in net]  # noqa: E731
    assert kinds(generator)[-2:] == ["ConvTranspose2d", "Tanh"]  # no batch norm at G's output
    assert kinds(judge)[:2] == ["Conv2d", "LeakyReLU"]  # nor at D's input
    assert kinds(generator).count("BatchNorm2d") == 2 and kinds(judge).count("BatchNorm2d") == 1
    assert not {"MaxPool2d", "AvgPool2d", "Upsample", "Sigmoid"} & {
        *kinds(generator),
        *kinds(judge),
    }
    assert kinds(judge).count("Linear") == 0 and kinds(generator).count("Linear") == 1
    assert all(layer.negative_slope == 0.2 for layer in judge if isinstance(layer, nn.LeakyReLU))


@pytest.mark.parametrize(
    ("size", "expected"),
    [(8, (2, 2)), (12, (3, 2)), (16, (4, 2)), (28, (7, 2)), (32, (4, 3)), (64, (4, 4))],
)
def test_sizes(size: int, expected: tuple[int, int]) -> None:
    assert nets.halvings(size) == expected


@pytest.mark.parametrize("size", [1, 2, 4, 7, 10, 30, 31, 44, 100])
def test_sizes_that_a_dcgan_cannot_make(size: int) -> None:
    with pytest.raises(ValueError, match=f"cannot make {size} x {size} pixels"):
        nets.dcgan((1, size, size), 4)


@pytest.mark.parametrize("options", [{}, {"batch_norm": True}, {"maxout": 3}, {"tanh": True}])
def test_mlp_fits_the_data(options: dict[str, object]) -> None:
    generator, judge = nets.mlp_gan((1, 3, 2), 4, 8, 2, **options)
    assert judge(generator(tg.randn(5, 4))).shape == (5,)
    assert any(isinstance(m, nn.BatchNorm1d) for m in generator) == bool(options.get("batch_norm"))


def test_maxout_is_the_largest_piece() -> None:
    layer, x = nets.Maxout(3, 2, 4), tg.randn(5, 3)
    pieces = layer.linear(x).detach().numpy().reshape(5, 2, 4)
    assert np.array_equal(layer(x).detach().numpy(), pieces.max(2))


@pytest.mark.parametrize("make", [nets.mlp_energy, nets.dcgan_energy])
def test_energy_is_the_mean_error_of_each_example(make: object) -> None:
    net, x = make((1, 8, 8), 3, 4), tg.rand(5, 1, 8, 8)
    out, rebuilt = net(x), net.decoder(net.encoder(x))
    expected = abs(x.numpy() - rebuilt.detach().numpy()).mean((1, 2, 3))
    assert out.shape == (5,) and np.allclose(out.detach().numpy(), expected, atol=1e-6)


# --- spectral norm ----------------------------------------------------------------------------


def test_spectral_norm_against_svd() -> None:
    judge = nets.dcgan((1, 8, 8), 4, 8, norm="spectral")[1]
    for _ in range(300):  # one power iteration each
        judge(tg.randn(2, 1, 8, 8))
    layers = [m for m in judge.modules() if isinstance(m, nn.Conv2d)]
    assert len(layers) == 3
    for layer in layers:
        raw = layer.weight_orig.detach().numpy().reshape(layer.out_channels, -1)
        used = layer.weight.numpy().reshape(layer.out_channels, -1)
        assert np.linalg.svd(used, compute_uv=False)[0] == pytest.approx(1.0, abs=1e-3)
        assert np.allclose(
            used * np.linalg.svd(raw, compute_uv=False)[0], raw, rtol=2e-3, atol=1e-7
        )


def test_spectral_norm_bounds_the_slope_of_a_net() -> None:
    _, judge = nets.mlp_gan((2,), 2, 16, 2)
    nets.spectrally_normalised(judge)
    for _ in range(200):
        judge(tg.randn(2, 2))
    judge.eval()
    x, y = tg.randn(500, 2), tg.randn(500, 2)
    rise = abs((judge(x) - judge(y)).detach().numpy())
    assert (rise <= 1.001 * np.linalg.norm(x.numpy() - y.numpy(), axis=1)).all()


# --- virtual batch norm -----------------------------------------------------------------------


def normed_net(kind: str) -> nn.Module:
    own = kind == "virtual"
    norm = (
        (lambda c: nn.BatchNorm2d(c))
        if kind == "batch"
        else (lambda c: nets.ReferenceBatchNorm(c, own))
    )
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), norm(3), nn.SiLU(), nn.Conv2d(3, 2, 3), norm(2), nn.Flatten()
    )
    if kind != "batch":
        net = nets.WithReference(net, tg.randn(6, 1, 6, 6))
    return net.double()


@pytest.mark.parametrize("kind", ["virtual", "reference", "batch"])
def test_virtual_batch_norm_is_blind_to_the_batch_mates(kind: str) -> None:
    net = normed_net(kind)
    x = tg.randn(5, 1, 6, 6, dtype=tg.float64)
    others = tg.cat([x[:1], 10 * tg.randn(7, 1, 6, 6, dtype=tg.float64)])
    same = np.allclose(net(x)[0].detach().numpy(), net(others)[0].detach().numpy(), atol=1e-12)
    assert same == (kind != "batch")


def test_virtual_batch_norm_is_batch_norm_of_the_reference_and_the_example() -> None:
    reference, x = tg.randn(6, 3, dtype=tg.float64), tg.randn(1, 3, dtype=tg.float64)
    net = nets.WithReference(nets.ReferenceBatchNorm(3), reference).double()
    together = nn.BatchNorm1d(3).double()(tg.cat([reference, x]))[-1]
    assert np.allclose(net(x)[0].detach().numpy(), together.detach().numpy(), atol=1e-12)
    with pytest.raises(RuntimeError, match="no reference batch yet"):
        nets.ReferenceBatchNorm(3)(tg.randn(2, 3))


@pytest.mark.parametrize("kind", ["virtual", "reference"])
def test_virtual_batch_norm_to_second_order(kind: str) -> None:
    net = normed_net(kind)
    check_grads(net, tg.randn(2, 1, 6, 6), params=list(net.parameters()), float32=False)


def test_virtual_batch_norm_far_from_zero() -> None:
    """Mean 100, std 0.01 in float32: E[x^2] - E[x]^2 would be noise, even below 0."""
    reference = 100.0 + 0.01 * tg.randn(64, 3)
    out = nets.WithReference(nets.ReferenceBatchNorm(3), reference)(reference)
    assert np.allclose(out.detach().numpy().std(0), 1.0, atol=0.15)


@pytest.mark.parametrize("own", [True, False])
def test_referenced_replaces_every_batch_norm(own: bool) -> None:
    generator = nets.dcgan((1, 8, 8), 5, 4)[0]
    codes, z = tg.randn(6, 5), tg.randn(3, 5)
    expected = generator(codes).detach().numpy()  # training mode: statistics of this very batch
    net = nets.referenced(generator, codes, own)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    assert np.allclose(net(z)[0].detach().numpy(), net(z[:1])[0].detach().numpy(), atol=1e-6)
    if not own:
        assert np.allclose(net(codes).detach().numpy(), expected, atol=1e-4)


# --- minibatch discrimination and others ------------------------------------------------------


def test_minibatch_discrimination_by_its_formula() -> None:
    layer, x = nets.MinibatchDiscrimination(4, 3, 2), tg.randn(5, 4)
    m = (x.numpy() @ layer.project.weight.detach().numpy().T).reshape(5, 3, 2)
    o = np.zeros((5, 3))
    for i in range(5):
        for j in range(5):
            if i != j:
                o[i] += np.exp(-abs(m[i] - m[j]).sum(1))
    out = layer(x).detach().numpy()
    assert np.allclose(out[:, :4], x.numpy()) and np.allclose(out[:, 4:], o, atol=1e-5)


@pytest.mark.parametrize("make", [nets.mlp_gan, nets.dcgan])
def test_networks_with_minibatch_discrimination(make: object) -> None:
    judge = make((1, 8, 8), 5, 4, minibatch=3)[1]
    x = tg.randn(4, 1, 8, 8)
    assert judge(x).shape == (4,)
    alone = tg.cat([judge(x[i : i + 1]) for i in range(4)])
    assert not np.allclose(judge(x).detach().numpy(), alone.detach().numpy())


def test_look_alikes_give_themselves_away() -> None:
    layer = nets.MinibatchDiscrimination(4, 3, 2)
    same = layer(tg.randn(1, 4).expand(6, 4))[:, 4:].detach().numpy()
    assert np.allclose(same, 5.0, atol=1e-5)
    assert (layer(3 * tg.randn(6, 4))[:, 4:].detach().numpy() < 4.5).all()


@given(st.integers(2, 5), st.integers(0, 1000))
def test_minibatch_discrimination_to_second_order(n: int, seed: int) -> None:
    tg.manual_seed(seed)
    layer = nets.MinibatchDiscrimination(3, 2, 2).double()
    check_grads(layer, tg.randn(n, 3), params=list(layer.parameters()), eps=1e-6, float32=False)


def test_a_dcgan_to_second_order() -> None:
    judge = nn.Sequential(
        nn.Conv2d(1, 2, 4, 2, 1), nn.GroupNorm(1, 2), nn.SiLU(), nn.Conv2d(2, 1, 4), nn.Flatten(0)
    ).double()
    check_grads(judge, tg.randn(2, 1, 8, 8), params=list(judge.parameters()), float32=False)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="hidden >= 1, got 0"):
        nets.mlp_gan((2,), 2, 0)
    with pytest.raises(ValueError, match="latent >= 1, got 0"):
        nets.dcgan((1, 8, 8), 0)
    with pytest.raises(ValueError, match="norm must be batch, layer, spectral or none, got 'bn'"):
        nets.dcgan((1, 8, 8), 2, norm="bn")
    with pytest.raises(ValueError, match=r"square picture \(C, S, S\), got \(1, 8, 12\)"):
        nets.dcgan((1, 8, 12), 2)
    assert gan.GAN(*nets.dcgan((1, 8, 8), 2, 4), "minimax", 2).sample(1).shape == (1, 1, 8, 8)
