"""Answers to the exercises of lesson 13, right ones and wrong ones."""

import numpy as np

import tinygen as tg
from tinygen import metrics


def w1(x, y):
    """Smallest to smallest."""
    return abs(np.sort(x) - np.sort(y)).mean()


def w1_by_program(x, y):
    """The linear program."""
    return metrics.optimal_transport(abs(x[:, None] - y)).cost


def w1_unsorted(x, y):
    """Wrong: in the order in which the points come."""
    return abs(x - y).mean()


def w1_of_means(x, y):
    """Wrong: how far the means are apart."""
    return abs(x.mean() - y.mean())


def w2(x, y):
    """Wrong: squares."""
    return np.sqrt(((np.sort(x) - np.sort(y)) ** 2).mean())


def slope_bound(weights):
    """Largest singular values multiply."""
    return np.prod([np.linalg.norm(w, 2) for w in weights])


def slope_bound_by_eigenvalues(weights):
    """The largest singular value is the root of the largest eigenvalue of W W^T."""
    total = tg.tensor(1.0, dtype=tg.float64)
    for w in weights:
        total = total * np.sqrt(np.linalg.eigvalsh(w @ w.T).max())
    return total


def slope_by_frobenius(weights):
    """Wrong: a bound, but not a sharp one."""
    return np.prod([np.linalg.norm(w) for w in weights])


def slope_by_sum(weights):
    """Wrong: adds where it should multiply."""
    return sum(np.linalg.norm(w, 2) for w in weights)


def slope_by_largest_entry(weights):
    """Wrong: no bound at all."""
    return np.prod([abs(w).max() for w in weights])


def critic_step(weights, gradients, lr, c):
    """Up the gap, then back into the box."""
    return [np.clip(w + lr * g, -c, c) for w, g in zip(weights, gradients)]


def critic_step_by_loss(weights, gradients, lr, c):
    """Down minus the gap, with minimum and maximum."""
    moved = [tg.tensor(w) - lr * tg.tensor(-g) for w, g in zip(weights, gradients)]
    return [tg.clamp(w, -c, c) for w in moved]


def step_down(weights, gradients, lr, c):
    """Wrong: down the gap."""
    return [np.clip(w - lr * g, -c, c) for w, g in zip(weights, gradients)]


def step_with_clipped_gradients(weights, gradients, lr, c):
    """Wrong: the slide's rule."""
    return [w + lr * np.clip(g, -c, c) for w, g in zip(weights, gradients)]


def clip_before(weights, gradients, lr, c):
    """Wrong: clips first, then leaves the box."""
    return [np.clip(w, -c, c) + lr * g for w, g in zip(weights, gradients)]


def clip_above(weights, gradients, lr, c):
    """Wrong: one wall only."""
    return [np.minimum(w + lr * g, c) for w, g in zip(weights, gradients)]


def critic_on_line(x, y):
    """(13.14): walk along the line with slope sign(F_y - F_x)."""
    points = np.sort(np.concatenate([x, y]))
    F_x, F_y = ((v[:, None] <= points[:-1]).mean(0) for v in (x, y))
    values = np.append(0.0, np.cumsum(np.sign(F_y - F_x) * np.diff(points)))
    return np.interp(x, points, values), np.interp(y, points, values)


def critic_by_program(x, y):
    """(13.12), from the prices of the linear program."""
    best = metrics.optimal_transport(abs(x[:, None] - y))
    f = lambda z: (abs(z[:, None] - y) - best.v).min(1)  # noqa: E731
    return f(x), f(y)


def critic_straight(x, y):
    """Wrong: one slope for the whole line; the best only where x lies on one side of y."""
    s = 1.0 if x.mean() > y.mean() else -1.0
    return s * x, s * y


def critic_step_function(x, y):
    """Wrong: what a discriminator says, 1 and 0; too steep."""
    return np.ones(len(x)), np.zeros(len(y))


def critic_reversed(x, y):
    """Wrong: high at the samples."""
    f_x, f_y = critic_on_line(x, y)
    return -f_x, -f_y


def step_then_scale(weights, gradients, lr, c):
    """Wrong: shrinks all of a matrix until its largest entry fits."""
    new = [w + lr * g for w, g in zip(weights, gradients)]
    return [w * min(1.0, c / abs(w).max()) for w in new]


def critic_at_x(x, y):
    """Wrong: forgets the points y."""
    return critic_on_line(x, y)[0]


RIGHT = {
    "13.1": [w1, w1_by_program],
    "13.2": [slope_bound, slope_bound_by_eigenvalues],
    "13.3": [critic_step, critic_step_by_loss],
    "13.4": [critic_on_line, critic_by_program],
}
WRONG = {
    "13.1": [w1_unsorted, w1_of_means, w2],
    "13.2": [slope_by_frobenius, slope_by_sum, slope_by_largest_entry],
    "13.3": [step_down, step_with_clipped_gradients, clip_before, clip_above, step_then_scale],
    "13.4": [critic_straight, critic_step_function, critic_reversed, critic_at_x],
}
