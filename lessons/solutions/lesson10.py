"""Answers to the exercises of lesson 10, right ones and wrong ones."""

import numpy as np

import tinygen as tg


def weights(a):
    """-D, -(1 - D), -e^a, D without overflow."""
    with np.errstate(over="ignore"):
        return -np.exp(-np.logaddexp(0, -a)), -np.exp(-np.logaddexp(0, a)), -np.exp(a)


def weights_by_tape(a):
    """The tape differentiates the three losses."""
    losses = (lambda a: -tg.softplus(a), lambda a: tg.softplus(-a), lambda a: -tg.exp(a))
    leaf = tg.tensor(a, requires_grad=True)
    with np.errstate(over="ignore"):
        return [tg.autograd.grad(loss(leaf).sum(), [leaf])[0] for loss in losses]


def weights_swapped(a):
    """Wrong: minimax and non-saturating exchanged."""
    mm, ns, ml = weights(a)
    return ns, mm, ml


def weights_positive(a):
    """Wrong: sizes without the sign."""
    return [-row for row in weights(a)]


def weights_of_probability(a):
    """Wrong: slopes in D, not in the logit."""
    d = 1 / (1 + np.exp(-np.clip(a, -30, 30)))
    return -1 / (1 - d), -1 / d, -1 / (1 - d) ** 2


def weights_overflowing(a):
    """Wrong: e^a / (1 + e^a) is inf / inf at 1000."""
    with np.errstate(all="ignore"):
        d = np.exp(a) / (1 + np.exp(a))
        return -d, d - 1, -np.exp(a)


def look_ahead(field, w, eta):
    """The direction found ahead, applied from w."""
    return w + eta * field(w + eta * field(w))


def look_ahead_in_words(field, w, eta):
    """The same in two lines, by way of the tensor library."""
    ahead = tg.tensor(w) + eta * tg.tensor(field(w))
    return tg.tensor(w) + eta * tg.tensor(field(ahead.numpy()))


def two_steps(field, w, eta):
    """Wrong: goes on from the point ahead."""
    ahead = w + eta * field(w)
    return ahead + eta * field(ahead)


def one_step(field, w, eta):
    """Wrong: a plain step."""
    return w + eta * field(w)


def backwards(field, w, eta):
    """Wrong: against the field."""
    return w - eta * field(w - eta * field(w))


def saddles(V):
    """Smallest of the column and largest of the row."""
    small, large = V.min(0) == V, V.max(1, keepdims=True) == V
    return [(int(i), int(j)) for i, j in np.argwhere(small & large)]


def saddles_by_deviations(V):
    """Nobody gains by moving alone, cell by cell."""
    rows, columns = V.shape
    return {
        (i, j)
        for i in range(rows)
        for j in range(columns)
        if all(V[i, j] <= V[k, j] for k in range(rows))
        and all(V[i, j] >= V[i, k] for k in range(columns))
    }


def saddles_exchanged(V):
    """Wrong: the players exchanged."""
    small, large = V.min(1, keepdims=True) == V, V.max(0) == V
    return [(int(i), int(j)) for i, j in np.argwhere(small & large)]


def security(V):
    """Wrong: best worst cases of both, whether or not they meet."""
    return [(int(V.max(1).argmin()), int(V.min(0).argmax()))]


def good_loss(loss):
    """The slope at logits small and large, of both signs."""
    a = tg.tensor(np.linspace(-20, 20, 81), requires_grad=True)
    return bool((tg.autograd.grad(loss(a), [a])[0] < 0).all().item())


def good_loss_by_differences(loss):
    """Each logit alone: is the loss smaller a little to the right?"""
    values = [loss(tg.tensor([v])).item() for v in np.linspace(-15, 15, 61)]
    return np.diff(values) < 0


def near_zero(loss):
    """Wrong: looks at small logits only."""
    a = tg.tensor(np.linspace(-0.5, 0.5, 11), requires_grad=True)
    return bool((tg.autograd.grad(loss(a), [a])[0] < 0).all().item())


def on_average(loss):
    """Wrong: the average slope, not each."""
    a = tg.tensor(np.linspace(-10, 10, 21), requires_grad=True)
    return tg.autograd.grad(loss(a), [a])[0].mean().item() < 0


def rising(loss):
    """Wrong: the other sign."""
    return not good_loss(loss)


def weights_by_tanh(a):
    """The sigmoid by tanh; where it rounds to 0 is beyond what counts."""
    with np.errstate(over="ignore"):
        return -0.5 * (1 + np.tanh(a / 2)), -0.5 * (1 - np.tanh(a / 2)), -np.exp(a)


def weights_clipped(a):
    """Wrong: clips the logits, and with them the smallest slopes."""
    d = 1 / (1 + np.exp(-np.clip(a, -20, 20)))
    return -d, d - 1, -np.exp(np.minimum(a, 700))


def look_ahead_in_place(field, w, eta):
    """Wrong: the right point, but the caller's w is changed."""
    old = w.copy()
    w += eta * field(w)
    return old + eta * field(w)


def not_far(loss):
    """Wrong: looks at logits up to 2 only."""
    a = tg.tensor(np.linspace(-2, 2, 21), requires_grad=True)
    return bool((tg.autograd.grad(loss(a), [a])[0] < 0).all().item())


def positive_only(loss):
    """Wrong: looks at positive logits only."""
    a = tg.tensor(np.linspace(0, 20, 41), requires_grad=True)
    return bool((tg.autograd.grad(loss(a), [a])[0] < 0).all().item())


RIGHT = {
    "10.1": [weights, weights_by_tape, weights_by_tanh],
    "10.2": [look_ahead, look_ahead_in_words],
    "10.3": [saddles, saddles_by_deviations],
    "10.4": [good_loss, good_loss_by_differences],
}
WRONG = {
    "10.1": [
        weights_swapped,
        weights_positive,
        weights_of_probability,
        weights_overflowing,
        weights_clipped,
    ],
    "10.2": [two_steps, one_step, backwards, look_ahead_in_place],
    "10.3": [saddles_exchanged, security],
    "10.4": [near_zero, not_far, positive_only, on_average, rising],
}
