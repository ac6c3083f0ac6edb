"""The perceptual distance, the emoji classifier of the metrics, and that the two stay apart."""

import ast
from pathlib import Path

import numpy as np
import pytest

import tinygen as tg
from tinygen import data, metrics
from tinygen.data import transforms
from tinygen.models import nets

ROOT = Path(tg.__file__).parent


@pytest.fixture(scope="module")
def pictures():
    return data.load("emoji", "test").to_symmetric()[:60]


def seeded(seed=0):
    return tg.Generator().manual_seed(seed)


def test_the_distance_grows_with_damage(pictures):
    distance = nets.perceptual()
    x = pictures[:20]
    assert (distance(x, x) == 0).all()
    shift = tg.nn.functional.pad(x, (1, 0, 0, 0), value=1.0)[..., :-1]
    for damaged in (
        lambda s: transforms.blur(x, s),
        lambda s: x + s * tg.randn(x.shape, generator=seeded()),
    ):
        weak, strong = (distance(x, damaged(s)).mean().item() for s in (0.4, 1.2))
        assert 0 < weak < strong
    other = distance(x, pictures[20:40])
    assert distance(x, shift).mean().item() < 0.7 * other.mean().item()
    assert np.allclose(distance(x, shift).numpy(), distance(shift, x).numpy(), rtol=1e-4)


def test_the_distance_has_gradients_for_pictures_and_none_for_weights(pictures):
    distance = nets.perceptual()
    x = pictures[:4].clone().requires_grad_()
    distance(x, pictures[4:8]).sum().backward()
    assert x.grad is not None and x.grad.abs().sum().item() > 0
    assert all(p.grad is None and not p.requires_grad for p in distance.parameters())
    with pytest.raises(ValueError, match="perceptual"):
        distance(pictures[:2], pictures[:3])


@pytest.mark.parametrize("model", ["losses", "metrics"])
def test_both_know_the_groups_of_emoji_they_have_not_seen(model):
    test = data.load("emoji", "test")
    net = nets.perceptual().features if model == "losses" else metrics.emoji_classifier()
    with tg.no_grad():
        guess = net.eval()(test.to_symmetric()).argmax(1)
    right = (guess == test.labels).float().mean().item()
    assert right > 0.4, f"{right:.2f}; the largest group would give 0.19"


def test_metrics_and_losses_never_swap():
    """models/ never names the metrics' classifier, metrics/ never the losses' network."""
    for folder, word in (("models", "emoji_classifier"), ("metrics", "perceptual")):
        for path in (ROOT / folder).rglob("*.py"):
            names = {
                node.id
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Name)
            }
            names |= {node.attr for node in ast.walk(ast.parse(path.read_text()))
                      if isinstance(node, ast.Attribute)}  # fmt: skip
            if path.name != "classifier.py" and path.name != "perceptual.py":
                assert word not in names, f"{path} uses {word}"
    one, other = nets.perceptual().features, metrics.emoji_classifier()
    assert type(one) is not type(other)
    shapes = [{tuple(p.shape) for p in net.parameters()} for net in (one, other)]
    assert not {s for s in shapes[0] & shapes[1] if len(s) == 4}, "no kernel has a common shape"


def test_distances_of_samples_rise_with_damage():
    net = metrics.emoji_classifier()
    real = data.load("emoji").to_symmetric()
    half = [net.features(real[i::2]) for i in (0, 1)]
    floor = metrics.frechet_distance(half[0], half[1])
    worse = {
        "blur": net.features(transforms.blur(real[1::2], 1.5)),
        "noise": net.features(real[1::2] + 0.5 * tg.randn(real[1::2].shape, generator=seeded())),
        "dropped groups": net.features(real[1::2][data.load("emoji").labels[1::2] < 3]),
    }
    assert half[0].shape[1] <= 32
    for name, features in worse.items():
        assert metrics.frechet_distance(half[0], features) > 1.5 * floor, name
        assert metrics.kernel_distance(half[0], features)[0] > metrics.kernel_distance(*half)[0], (
            name
        )
    assert metrics.precision_recall(half[0], worse["dropped groups"]).recall < (
        metrics.precision_recall(*half).recall)  # fmt: skip
