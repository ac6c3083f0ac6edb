"""Numbers about a model and its samples; each says what it was measured on, and how it is biased.

In reading order: likelihood (units, distances between pictures), samples (modes of a known law),
transport (Wasserstein distances, exactly), features (two samples compared), classifier,
verification (two pictures of one identity?), probe (what do codes say of the class?), captions (do
a scene's facts hold?).
"""

from .captions import CaptionScore, caption_score
from .classifier import (
    Classifier,
    digits_classifier,
    emoji_classifier,
    emoji_features,
    fit_classifier,
)
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
    within_class_distance,
)
from .likelihood import active_units, bits_per_dim, mean_and_error, psnr, rate_distortion, ssim
from .probe import linear_probe
from .samples import ModeReport, gaussian_like, mode_report
from .transport import Transport, critic_slope, optimal_transport, wasserstein_1d
from .verification import Verifier, fit_verifier, roc_auc

__all__ = [
    "C2ST",
    "CaptionScore",
    "Classifier",
    "ModeReport",
    "Transport",
    "Verifier",
    "active_units",
    "bits_per_dim",
    "caption_score",
    "class_counts",
    "classifier_two_sample_test",
    "critic_slope",
    "digits_classifier",
    "duplicates",
    "emoji_classifier",
    "emoji_features",
    "fit_classifier",
    "fit_verifier",
    "frechet_distance",
    "gaussian_like",
    "inception_score",
    "kernel_distance",
    "linear_probe",
    "mean_and_error",
    "mmd_squared",
    "mode_report",
    "nearest_neighbours",
    "optimal_transport",
    "precision_recall",
    "psnr",
    "rate_distortion",
    "roc_auc",
    "ssim",
    "wasserstein_1d",
    "within_class_distance",
]
