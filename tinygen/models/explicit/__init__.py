"""Models whose density is a formula: log p(x) is computed, not bounded."""

from .mixture import BernoulliMixture

__all__ = ["BernoulliMixture"]
