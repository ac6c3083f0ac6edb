"""The U-Net: sizes, conditioning, its zero beginning, gradients of order 2."""

import numpy as np
import pytest

import tinygen as tg
from tinygen.models import nets
from tinygen.models.nets import unet
from tinygen.testing import check_grads


def awake(net: tg.nn.Module, seed: int = 0) -> tg.nn.Module:
    """Random parameters everywhere, so that no zero layer hides anything."""
    generator = tg.Generator().manual_seed(seed)
    for p in net.parameters():
        tg.nn.init.normal_(p, 0.0, 0.2, generator=generator)
    return net


@pytest.mark.parametrize("size", [8, 28, 32])
@pytest.mark.parametrize(("depth", "attention"), [(1, (2,)), (2, ()), (1, (1, 2))])
def test_pictures_keep_their_size(size: int, depth: int, attention: tuple[int, ...]) -> None:
    net = nets.UNet(1, 8, depth=depth, attention=attention, out=2)
    out = net(tg.randn(2, 1, size, size), tg.tensor([1.0, 1000.0]))
    assert out.shape == (2, 2, size, size) and out.dtype == tg.float32


def test_it_begins_at_zero_and_every_parameter_learns() -> None:
    net = nets.UNet(3, 8, classes=4)
    x, time, y = tg.randn(4, 3, 8, 8), tg.rand(4) * 1000, tg.tensor([0, 1, 4, 2])
    assert np.array_equal(net(x, time, y).detach().numpy(), np.zeros((4, 3, 8, 8)))
    awake(net)
    net(x, time, y).square().sum().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and np.abs(p.grad.numpy()).max() > 0, name


def test_time_label_and_far_pixels_matter() -> None:
    net, x = awake(nets.UNet(1, 8, classes=2)), tg.randn(1, 1, 8, 8)
    call = lambda x, t, y: net(x, tg.tensor([t]), tg.tensor([y])).detach().numpy()  # noqa: E731
    base, corner = call(x, 10.0, 0), x.clone()
    corner[0, 0, 7, 7] += 1.0
    for other in (call(x, 500.0, 0), call(x, 10.0, 1)):
        assert np.abs(other - base).max() > 1e-3
    assert abs(call(corner, 10.0, 0)[0, 0, 0, 0] - base[0, 0, 0, 0]) > 1e-6


def test_examples_of_a_batch_do_not_mix() -> None:
    net, x, time = awake(nets.UNet(1, 8)), tg.randn(3, 1, 8, 8), tg.tensor([3.0, 500.0, 900.0])
    together = net(x, time).detach().numpy()
    alone = [net(x[i : i + 1], time[i : i + 1]).detach().numpy() for i in range(3)]
    assert np.allclose(together, np.concatenate(alone), rtol=1e-3, atol=1e-4)


def test_attention_does_not_mind_a_permutation_of_pixels() -> None:
    look, x = awake(unet.Attention(8, 2)).double(), tg.randn(2, 8, 2, 3, dtype=tg.float64)
    flipped = look(x.flip((2, 3))).detach().numpy()
    assert np.allclose(flipped, look(x).flip((2, 3)).detach().numpy())


def test_names_are_pytorch_s() -> None:
    names = set(nets.UNet(1, 8, classes=3).state_dict())
    some = "time.0.weight down.0.norm1.weight shrink.1.bias up.2.skip.weight label.weight last.bias"
    assert {*some.split(), "middle_attention.attention.in_proj_weight"} <= names
    assert not [n for n in names if n.startswith("down_attention.0")]  # Identity has no state


def test_a_small_one_to_second_order() -> None:
    net = awake(nets.UNet(1, 2, (1, 2), attention=(1,), heads=1)).double()
    time = tg.tensor([3.0, 700.0], dtype=tg.float64)
    f = lambda x: net(x, time)  # noqa: E731
    x = tg.randn(2, 1, 4, 4, dtype=tg.float64)
    check_grads(f, x, params=list(net.parameters()), float32=False, rtol=1e-4)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"divisible by 4, got \(1, 1, 10, 8\)"):
        nets.UNet(1, 8)(tg.zeros(1, 1, 10, 8), tg.zeros(1))
    with pytest.raises(ValueError, match=r"attention in 0..2, got .*\(3,\)"):
        nets.UNet(1, 8, attention=(3,))
    with pytest.raises(ValueError, match="expected channels, depth, multipliers >= 1"):
        nets.UNet(1, 8, (), attention=())
    with pytest.raises(ValueError, match="the network was made with classes = 0"):
        nets.UNet(1, 8)(tg.zeros(1, 1, 8, 8), tg.zeros(1), tg.tensor([0]))
