"""Measures of samples against closed forms, duality, brute force, and the errors they must see."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import data, metrics
from tinygen.metrics import classifier

seeds = st.integers(0, 10_000)


# --- modes ------------------------------------------------------------------------------------


def test_samples_of_the_law_itself_find_all_modes() -> None:
    report = metrics.mode_report(data.gaussian_grid(2500), data.grid_centers(), 0.05)
    assert report.modes == 25
    assert report.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.01)  # 98.9 % within 3 std
    assert 0 <= report.reverse_kl < 0.02


def test_known_counts() -> None:
    centers = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    samples = np.array([[0, 0], [0, 2.9], [10, 0], [5, 5], [0, 3.1], [0.1, 0]], float)
    report = metrics.mode_report(samples, centers, std=1.0)
    assert report.counts.tolist() == [3, 1, 0, 0] and report.modes == 2
    assert report.high_quality == pytest.approx(4 / 6)
    assert report.reverse_kl == pytest.approx(0.75 * math.log(3) + 0.25 * math.log(1))


@given(st.integers(1, 25))
def test_reverse_kl_of_k_equal_modes_is_log_25_over_k(k: int) -> None:
    centers = data.grid_centers()
    report = metrics.mode_report(np.repeat(centers.numpy()[:k], 4, 0), centers, 0.05)
    assert report.modes == k
    assert report.reverse_kl == pytest.approx(math.log(25 / k), abs=1e-12)


def test_no_good_sample_at_all() -> None:
    report = metrics.mode_report(np.full((9, 2), 1.0), data.grid_centers(), 0.05)
    assert (report.modes, report.high_quality) == (0, 0.0)
    assert report.reverse_kl == pytest.approx(math.log(25))


# --- transport ----------------------------------------------------------------------------------


@given(seeds, st.floats(-5, 5))
def test_w1_of_a_shift_is_the_shift(seed: int, shift: float) -> None:
    x = np.random.default_rng(seed).standard_normal(30)
    assert metrics.wasserstein_1d(x, x + shift) == pytest.approx(abs(shift), abs=1e-12)


@given(seeds, st.integers(1, 12), st.integers(1, 12))
def test_w1_by_sorting_is_the_linear_program(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal(n), 2 * rng.standard_normal(m) + 1
    program = metrics.optimal_transport(abs(x[:, None] - y))
    assert metrics.wasserstein_1d(x, y) == pytest.approx(program.cost, abs=1e-12)
    same = np.repeat(x, 3)
    assert metrics.wasserstein_1d(same, y) == pytest.approx(program.cost, abs=1e-12)


@given(seeds, st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_transport_carries_its_own_proof(seed: int, n: int, m: int, ties: bool) -> None:
    """A plan and potentials with equal values prove each other optimal (duality)."""
    rng = np.random.default_rng(seed)
    cost = rng.integers(0, 4, (n, m)).astype(float) if ties else rng.random((n, m))
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    if ties:
        a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    found = metrics.optimal_transport(cost, a, b)
    assert np.allclose(found.plan.sum(1), a, atol=1e-12) and found.plan.min() >= 0
    assert np.allclose(found.plan.sum(0), b, atol=1e-12)
    assert (found.u[:, None] + found.v <= cost + 1e-9).all()
    assert found.cost == pytest.approx((a * found.u).sum() + (b * found.v).sum(), abs=1e-9)


@given(seeds)
def test_transport_of_equal_masses_is_the_best_assignment(seed: int) -> None:
    cost = np.random.default_rng(seed).random((5, 5))
    best = min(cost[range(5), list(order)].mean() for order in itertools.permutations(range(5)))
    assert metrics.optimal_transport(cost).cost == pytest.approx(best, abs=1e-12)


def test_transport_against_scipy() -> None:
    optimize = pytest.importorskip("scipy.optimize", reason="scipy, an oracle, is not installed")
    rng = np.random.default_rng(1)
    cost = rng.random((20, 20))
    rows, columns = optimize.linear_sum_assignment(cost)
    found = metrics.optimal_transport(cost).cost
    assert found == pytest.approx(cost[rows, columns].mean(), abs=1e-12)


def test_the_critic_estimates_w1_times_its_slope() -> None:
    x, y = tg.randn(40, 1), tg.randn(40, 1) + 1.5
    exact = metrics.wasserstein_1d(x, y)
    for slope in (0.3, 4.0):
        critic = lambda v, slope=slope: -slope * v[:, 0]  # noqa: E731
        gap = (critic(x).mean() - critic(y).mean()).item()
        k = metrics.critic_slope(critic, x, y)
        assert k == pytest.approx(slope, rel=1e-3)
        assert gap <= k * exact * (1 + 1e-6)
    net = tg.nn.Sequential(tg.nn.Linear(1, 9), tg.nn.ReLU(), tg.nn.Linear(9, 1), tg.nn.Flatten(0))
    gap = abs((net(x).mean() - net(y).mean()).item())
    assert gap <= metrics.critic_slope(net, x, y) * exact * (1 + 1e-6)


def test_rounding_between_near_points_is_no_slope() -> None:
    x = tg.linspace(0.0, 1.0, 50).unsqueeze(1)
    y = x + 1e-5
    critic = lambda v: 1.0 + 1e-3 * v[:, 0]  # noqa: E731  (float32: steps of 1.2e-7)
    assert metrics.critic_slope(critic, x, y) == pytest.approx(1e-3, rel=0.02)
    assert metrics.critic_slope(lambda v: v[:, 0] * 0.0, x, y) == 0.0


# --- distances of laws ----------------------------------------------------------------------------


def moments(rng: np.random.Generator, n: int, cov: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """n points whose sample mean and covariance are exactly these."""
    x = rng.standard_normal((n, len(cov)))
    x = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return x @ np.linalg.cholesky(cov).T + mean


@given(seeds)
def test_frechet_distance_of_commuting_covariances(seed: int) -> None:
    """Diagonal: |m1 - m2|^2 + sum (s1 - s2)^2, in any rotation."""
    rng = np.random.default_rng(seed)
    s1, s2, m1, m2 = rng.uniform(0.2, 3, (4, 4))
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    x, y = moments(rng, 50, np.diag(s1**2), m1), moments(rng, 80, np.diag(s2**2), m2)
    expected = ((m1 - m2) ** 2).sum() + ((s1 - s2) ** 2).sum()
    assert metrics.frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(x @ turn, y @ turn) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_sees_correlation() -> None:
    """Equal means and variances, correlation 0 and 0.9: 4 - 2 (sqrt 1.9 + sqrt 0.1), not 0."""
    rng = np.random.default_rng(0)
    x = moments(rng, 100, np.eye(2), np.zeros(2))
    y = moments(rng, 100, np.array([[1, 0.9], [0.9, 1]]), np.zeros(2))
    expected = 4 - 2 * (math.sqrt(1.9) + math.sqrt(0.1))
    assert metrics.frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)


def test_dropping_modes_raises_the_frechet_distance() -> None:
    rng = np.random.default_rng(0)
    centers = 4 * rng.standard_normal((10, 4))
    draw = lambda k: centers[rng.integers(k, size=3000)] + rng.standard_normal((3000, 4))  # noqa: E731
    whole = draw(10)
    distances = [metrics.frechet_distance(whole, draw(k)) for k in (10, 9, 7, 5)]
    assert distances == sorted(distances) and distances[0] < 0.1 < 0.5 < distances[1]


def test_frechet_distance_is_biased_and_the_kernel_distance_is_not() -> None:
    rng = np.random.default_rng(2)
    small, large = [], []
    for _ in range(20):
        x, y = rng.standard_normal((2, 1000, 8))
        small.append(
            (metrics.frechet_distance(x[:50], y[:50]), metrics.mmd_squared(x[:50], y[:50]))
        )
        large.append((metrics.frechet_distance(x, y), metrics.mmd_squared(x, y)))
    (fd_small, mmd_small), (fd_large, mmd_large) = np.mean(small, 0), np.mean(large, 0)
    assert fd_small > 10 * fd_large > 0
    error = np.std(small, 0)[1] / math.sqrt(20)
    assert abs(mmd_small) < 4 * error and abs(mmd_large) < error


@pytest.mark.parametrize("kernel", ["polynomial", "gaussian"])
def test_mmd_by_its_double_sum(kernel: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((4, 3)) + 1

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (
            (a @ b / 3 + 1) ** 3 if kernel == "polynomial" else math.exp(-((a - b) ** 2).sum() / 8)
        )

    pairs = lambda v: np.mean([k(p, q) for p, q in itertools.permutations(v, 2)])  # noqa: E731
    expected = pairs(x) + pairs(y) - 2 * np.mean([[k(p, q) for q in y] for p in x])
    scale = None if kernel == "polynomial" else 2.0
    assert metrics.mmd_squared(x, y, kernel, scale) == pytest.approx(expected, rel=1e-12)


def test_kernel_distance_has_an_error_bar_that_holds() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((600, 4))
    same, error = metrics.kernel_distance(x, rng.standard_normal((600, 4)), size=100)
    apart, _ = metrics.kernel_distance(x, rng.standard_normal((600, 4)) + 1, size=100)
    assert abs(same) < 10 * error < apart


# --- neighbours ---------------------------------------------------------------------------------


def test_nearest_neighbours_by_hand() -> None:
    x = np.array([[0.0], [1.0], [5.0]])
    distance, index = metrics.nearest_neighbours(np.array([[0.9], [6.0]]), x, k=2)
    assert index.tolist() == [[1, 0], [2, 1]]
    assert np.allclose(distance, [[0.1, 0.9], [1.0, 5.0]])


def test_duplicates_are_counted_once_each() -> None:
    y = np.array([[0.0, 0], [1, 0], [0, 0], [0.05, 0], [2, 2]])
    assert metrics.duplicates(y, 0.0) == pytest.approx(1 / 5)
    assert metrics.duplicates(y, 0.1) == pytest.approx(2 / 5)
    assert metrics.duplicates(np.zeros((10, 3)), 0.0) == pytest.approx(0.9)


def test_precision_and_recall_tell_bad_samples_from_missing_modes() -> None:
    rng = np.random.default_rng(0)
    two = lambda n: rng.standard_normal((n, 2)) + 20 * rng.integers(2, size=(n, 1))  # noqa: E731
    x = two(400)
    same = metrics.precision_recall(x, two(400))
    assert same.precision > 0.9 and same.recall > 0.9
    half = metrics.precision_recall(x, rng.standard_normal((400, 2)))
    assert half.precision > 0.9 and half.recall == pytest.approx(0.5, abs=0.1)
    stray = np.concatenate([two(200), rng.uniform(-500, -100, (200, 2))])
    assert metrics.precision_recall(x, stray).precision == pytest.approx(0.5, abs=0.06)


def test_within_class_distance_is_that_of_pairs_of_a_class() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((30, 2)) + 5, np.repeat([0, 1, 3], [5, 10, 15])
    x[labels == 1] += 100  # how far apart the classes are does not matter
    means = []
    for kind in (0, 1, 3):
        part = x[labels == kind]
        means.append(np.mean([np.linalg.norm(a - b) for i, a in enumerate(part) for b in part[:i]]))
    distance = metrics.within_class_distance
    assert distance(x, labels) == pytest.approx(np.mean(means), rel=1e-9)
    assert distance(3 * x, labels) == pytest.approx(3 * np.mean(means), rel=1e-9)
    assert distance(tg.tensor(x).reshape(30, 1, 2), tg.tensor(labels)) == distance(x, labels)
    for wrong in (labels[:-1], np.arange(30), labels[:, None]):
        with pytest.raises(ValueError, match="within_class_distance: expected 30 labels, two or"):
            distance(x, wrong)


def test_two_sample_test_is_at_chance_for_the_same_law_only() -> None:
    rng = np.random.default_rng(0)
    same = [
        metrics.classifier_two_sample_test(*rng.standard_normal((2, 200, 2)), seed=s)
        for s in range(30)
    ]
    assert np.mean([t.accuracy for t in same]) == pytest.approx(0.5, abs=0.03)
    assert 0.2 < np.mean([t.p_value for t in same]) < 0.8
    x, y = rng.standard_normal((2, 200, 2))
    apart = metrics.classifier_two_sample_test(x, y + 3)
    assert apart.accuracy > 0.9 and apart.p_value < 1e-10


# --- what a classifier says -----------------------------------------------------------------------


def test_inception_score_of_known_tables() -> None:
    assert metrics.inception_score(np.eye(10)) == pytest.approx(10.0)
    assert metrics.inception_score(np.eye(10)[[3] * 8]) == pytest.approx(1.0)  # one class only
    assert metrics.inception_score(np.full((8, 10), 0.1)) == pytest.approx(1.0)  # never sure
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    m = p.mean(0)
    assert metrics.inception_score(p) == pytest.approx(math.exp((p * np.log(p / m)).sum(1).mean()))
    assert metrics.class_counts(p).tolist() == [1, 1]


def test_the_bundled_classifier_knows_digits() -> None:
    model, test = classifier.digits_classifier(), data.load("digits", "test")
    pictures = test.to_symmetric()
    p = model.probabilities(pictures)
    assert (p.argmax(1) == test.labels.numpy()).mean() > 0.9
    assert metrics.inception_score(p) > 7.0
    assert (metrics.class_counts(p) > 20).all()
    features = model.features(pictures)
    assert features.shape == (len(test), 32)
    train = data.load("digits").to_symmetric()
    noise = model.features(tg.rand_like(pictures) * 2 - 1)
    real = metrics.frechet_distance(model.features(train), features)
    assert real < 0.2 * metrics.frechet_distance(model.features(train), noise)
    assert classifier.WEIGHTS.stat().st_size < 100_000
    with pytest.raises(
        ValueError, match=r"expected pictures .*\(1, 8, 8\).*, got \(2, 1, 28, 28\)"
    ):
        model.features(tg.zeros(2, 1, 28, 28))


def test_a_classifier_can_be_trained() -> None:
    x, labels = tg.randn(60, 1, 8, 8), tg.arange(60) % 2
    x[labels == 1] = x[labels == 1] + 2.0
    model = classifier.fit_classifier(classifier.Classifier(classes=2), x, labels, 60, 16)
    assert (model.probabilities(x).argmax(1) == labels.numpy()).mean() > 0.9


# --- bad input ------------------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    x = np.zeros((5, 2))
    with pytest.raises(ValueError, match="2 of 5 samples hold NaN"):
        metrics.mode_report(np.array([[0, np.nan], [np.inf, 0], *x[2:]]), data.grid_centers(), 0.05)
    with pytest.raises(ValueError, match="std > 0, got 0"):
        metrics.mode_report(x, data.grid_centers(), 0)
    with pytest.raises(ValueError, match="samples in 3 dimensions, centers in 2"):
        metrics.mode_report(np.zeros((5, 3)), data.grid_centers(), 0.05)
    with pytest.raises(ValueError, match="2 numbers a data point, 3 a sample"):
        metrics.frechet_distance(x, np.zeros((5, 3)))
    with pytest.raises(ValueError, match="needs 2 or more of each, got 5 and 1"):
        metrics.mmd_squared(x, x[:1])
    with pytest.raises(ValueError, match="kernel must be polynomial or gaussian"):
        metrics.mmd_squared(x, x, "cubic")
    with pytest.raises(ValueError, match="1 <= k <= 5, got 6"):
        metrics.nearest_neighbours(x, x, 6)
    with pytest.raises(ValueError, match="rows that sum to 1"):
        metrics.inception_score(np.ones((3, 4)))
    with pytest.raises(ValueError, match="masses >= 0 that sum to 1"):
        metrics.optimal_transport(np.ones((2, 2)), [0.5, 0.6], [0.5, 0.5])
    with pytest.raises(ValueError, match="finite costs"):
        metrics.optimal_transport(np.full((2, 2), np.inf))


def test_one_gaussian_has_the_data_s_moments_and_few_of_its_modes() -> None:
    x = data.gaussian_grid(5000)
    draws = metrics.gaussian_like(x, 20_000)
    assert draws.shape == (20_000, 2)
    assert np.cov(draws.T) == pytest.approx(np.cov(x.numpy().T), abs=0.3)
    report = metrics.mode_report(draws[:2500], data.grid_centers(), 0.05)
    assert report.modes < 25 and report.high_quality < 0.05
    assert metrics.gaussian_like(tg.rand(9, 1, 2, 2), 3).shape == (3, 1, 2, 2)
