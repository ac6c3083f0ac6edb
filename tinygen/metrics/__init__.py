"""How good are samples? Every number says what it was measured on, and how it is biased."""

from .classifier import Classifier, digits_classifier, fit_classifier
from .features import (
    C2ST,
    class_counts,
    classifier_two_sample_test,
    duplicates,
    frechet_distance,
    inception_score,
    kernel_distance,
    mmd_squared,
    nearest_neighbours,
    precision_recall,
)
from .samples import ModeReport, mode_report
from .transport import Transport, critic_slope, optimal_transport, wasserstein_1d

__all__ = [
    "C2ST",
    "Classifier",
    "ModeReport",
    "Transport",
    "class_counts",
    "classifier_two_sample_test",
    "critic_slope",
    "digits_classifier",
    "duplicates",
    "fit_classifier",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "mmd_squared",
    "mode_report",
    "nearest_neighbours",
    "optimal_transport",
    "precision_recall",
    "wasserstein_1d",
]
