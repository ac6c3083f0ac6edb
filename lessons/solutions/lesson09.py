"""Answers to the exercises of lesson 9, right ones and wrong ones."""

import numpy as np

import tinygen as tg


def best(p, q, share=0.5):
    """Bayes' rule: how much of what appears at x is real."""
    p, q = np.asarray(p), np.asarray(q)
    return share * p / (share * p + (1 - share) * q)


def best_by_odds(p, q, share=0.5):
    """The odds are the ratio of densities times the odds of the shares."""
    with np.errstate(divide="ignore"):
        odds_made = (1 - share) * np.asarray(q) / (share * np.asarray(p))
    return tg.tensor(1 / (1 + odds_made))


def best_swapped(p, q, share=0.5):
    """Wrong: the fraction that is made."""
    return 1 - best(p, q, share)


def best_without_share(p, q, share=0.5):
    """Wrong: forgets the share."""
    return best(p, q)


def ratio(p, q, share=0.5):
    """Wrong: a ratio of densities, not a probability."""
    return np.asarray(p) / np.maximum(q, 1e-300)


def value(a_real, a_made):
    """Means of log D and log(1 - D), both by softplus."""
    return -np.logaddexp(0, -np.asarray(a_real)).mean() - np.logaddexp(0, a_made).mean()


def value_by_entropy(a_real, a_made):
    """Minus the two binary cross-entropies from logits."""
    entropy = tg.nn.functional.binary_cross_entropy_with_logits
    real, made = tg.tensor(a_real), tg.tensor(a_made)
    return -entropy(real, tg.ones_like(real)) - entropy(made, tg.zeros_like(made))


def value_naive(a_real, a_made):
    """Wrong: the logarithm of a sigmoid overflows."""
    with np.errstate(all="ignore"):
        d, e = 1 / (1 + np.exp(-np.asarray(a_real))), 1 / (1 + np.exp(-np.asarray(a_made)))
        return np.log(d).mean() + np.log(1 - e).mean()


def value_clipped(a_real, a_made):
    """Wrong: clips the probabilities, and with them the loss."""
    with np.errstate(all="ignore"):
        d, e = 1 / (1 + np.exp(-np.asarray(a_real))), 1 / (1 + np.exp(-np.asarray(a_made)))
    d, e = np.clip(d, 1e-12, 1 - 1e-12), np.clip(e, 1e-12, 1 - 1e-12)
    return np.log(d).mean() + np.log(1 - e).mean()


def value_as_loss(a_real, a_made):
    """Wrong: the loss of D, which is minus the value."""
    return -value(a_real, a_made)


def value_summed(a_real, a_made):
    """Wrong: one mean over all examples, which weighs the sides by their numbers."""
    terms = [-np.logaddexp(0, -np.asarray(a_real)), -np.logaddexp(0, np.asarray(a_made))]
    return 2 * np.concatenate(terms).mean()


def divergence(d_real, d_made):
    """(V + log 4) / 2."""
    return (np.log(d_real).mean() + np.log(1 - np.asarray(d_made)).mean() + np.log(4)) / 2


def divergence_by_halves(d_real, d_made):
    """Half of KL(p_d || m) plus half of KL(p_g || m), where p_d / m = 2 D."""
    return 0.5 * np.mean(np.log(2 * np.asarray(d_real))) + 0.5 * np.mean(
        np.log(2 - 2 * np.asarray(d_made))
    )


def divergence_without_constant(d_real, d_made):
    """Wrong: half the value, the constant forgotten."""
    return divergence(d_real, d_made) - np.log(2)


def divergence_doubled(d_real, d_made):
    """Wrong: 2 JS."""
    return 2 * divergence(d_real, d_made)


def weigh(logits):
    """A softmax over the samples."""
    e = np.exp(np.asarray(logits) - np.max(logits))
    return e / e.sum()


def weigh_by_library(logits):
    """The library's softmax."""
    return tg.nn.functional.softmax(tg.tensor(logits), dim=0)


def weigh_by_probability(logits):
    """Wrong: D instead of D / (1 - D)."""
    d = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
    return d / d.sum()


def weigh_overflowing(logits):
    """Wrong: right for small logits only."""
    with np.errstate(all="ignore"):
        e = np.exp(logits)
        return e / e.sum()


def weigh_unnormalised(logits):
    """Wrong: does not sum to 1."""
    return np.exp(np.minimum(logits, 700))


def divergence_pooled(d_real, d_made):
    """Wrong: one mean over all examples, where each kind has its own."""
    return np.log(2) + np.append(np.log(d_real), np.log(1 - np.asarray(d_made))).mean()


def weigh_from_mean(logits):
    """Wrong: the mean subtracted, which leaves what overflows."""
    with np.errstate(all="ignore"):
        e = np.exp(logits - np.mean(logits))
        return e / e.sum()


def weigh_clipped(logits):
    """Wrong: odds of clipped probabilities, the same for all large logits."""
    odds = np.exp(np.clip(logits, -14, 14))
    return odds / odds.sum()


RIGHT = {
    "9.1": [best, best_by_odds],
    "9.2": [value, value_by_entropy],
    "9.3": [divergence, divergence_by_halves],
    "9.4": [weigh, weigh_by_library],
}
WRONG = {
    "9.1": [best_swapped, best_without_share, ratio],
    "9.2": [value_naive, value_clipped, value_as_loss, value_summed],
    "9.3": [divergence_without_constant, divergence_doubled, divergence_pooled],
    "9.4": [
        weigh_by_probability,
        weigh_overflowing,
        weigh_unnormalised,
        weigh_from_mean,
        weigh_clipped,
    ],
}
