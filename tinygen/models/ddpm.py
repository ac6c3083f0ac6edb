"""The diffusion model of images that examples/ddpm.py trains: a U-Net under a `Diffusion`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import diffusion
from .unet import UNet

__all__ = ["image_model"]

SETTINGS = (
    "shape", "classes", "drop", "width", "depth", "schedule", "T", "parameterisation", "loss",
)  # fmt: skip


def image_model(config: Mapping[str, Any]) -> diffusion.Diffusion:
    """The untrained model that a run's settings describe; ValueError names those that are missing.

    shape: (C, H, W) of an image. classes: how many labels; drop: the share of them that is hidden
    in training. width, depth: of the U-Net. schedule, T: of the process. parameterisation: what
    the U-Net is asked for. loss: "hybrid" also learns the variance, for which the U-Net makes twice
    the channels.
    """
    if missing := [name for name in SETTINGS if name not in config]:
        raise ValueError(f"image_model: no {', '.join(missing)} in the settings; is this a run of "
                         "examples/ddpm.py?")  # fmt: skip
    channels, classes, hybrid = config["shape"][0], config["classes"], config["loss"] == "hybrid"
    net = UNet(
        channels, config["width"], depth=config["depth"], classes=classes,
        out=2 * channels if hybrid else channels,
    )  # fmt: skip
    return diffusion.Diffusion(
        diffusion.schedule(config["schedule"], config["T"]), net, config["parameterisation"],
        variance="learned" if hybrid else "small", classes=classes, drop=config["drop"],
        bounded=True,
    )  # fmt: skip
