"""The systems there are: one slug each, by which everything of a system is called.

    slug        file                          example              test                card
    ddpm        models/diffusion/ddpm.py      examples/ddpm.py     test_ddpm.py        ddpm.md

A system's file has `build(config) -> model`, config being a dict that JSON can hold. Every model
has `sample(n, generator=None, labels=None)`, but for CLIP, which compares and does not draw, and
those of translation/, which make a picture of another: `translate(images, generator=None)`. Each
has `terms(batch) -> dict` with the "loss" to minimise and the named parts it is made of; where two
play, there are `discriminator_terms(batch)` and `generator_terms`, of n samples in a GAN, of a
batch of pairs in pix2pix. A batch is what a loader yields: (x,) or (x, labels), where captions are
labels too, as tokens.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from .. import nn
from ..serialization import find_nan, load
from ..tensor import Tensor

__all__ = [
    "NEEDED", "PRETRAINED", "SYSTEMS", "System", "build", "pretrained", "restore", "settings",
    "split",
]  # fmt: skip


class System(NamedTuple):
    """A row of SYSTEMS. The slug names its file, example, test, results and card.

    >>> import tinygen as tg
    >>> tg.models.SYSTEMS["vae"].family, tg.models.SYSTEMS["vae"].paper
    ('vae', 'Kingma and Welling 2013, arXiv:1312.6114')
    """

    family: str  # the folder of models/ that its file is in
    title: str
    paper: str
    lesson: int | None  # the lesson that derives it


SYSTEMS: dict[str, System] = {
    "mixture": System(
        "explicit", "Mixtures, naive Bayes, tree, hidden Markov model",
        "Dempster, Laird and Rubin 1977; Chow and Liu 1968", 1,
    ),
    "markov_field": System(
        "explicit", "Markov fields: RBM, Ising model", "Hinton 2002; Besag 1975", None
    ),
    "made": System(
        "autoregressive", "Masked autoencoder for density estimation",
        "Germain et al. 2015, arXiv:1502.03509", None,
    ),
    "pixelcnn": System(
        "autoregressive", "PixelCNN, gated or plain",
        "van den Oord et al. 2016, arXiv:1606.05328", None,
    ),
    "pixelrnn": System(
        "autoregressive", "PixelRNN: Row LSTM and Diagonal BiLSTM",
        "van den Oord et al. 2016, arXiv:1601.06759", None,
    ),
    "image_gpt": System(
        "autoregressive", "Image transformer, pixel by pixel", "Chen et al. 2020 (iGPT)", None
    ),
    "flow": System(
        "flow", "Normalizing flows, from couplings to flow matching",
        "Dinh et al. 2016, arXiv:1605.08803", None,
    ),
    "autoencoder": System(
        "vae", "Autoencoder: plain, linear, denoising, sparse",
        "Vincent et al. 2008; Makhzani and Frey 2013, arXiv:1312.5663", None,
    ),
    "vae": System(
        "vae", "Variational autoencoder", "Kingma and Welling 2013, arXiv:1312.6114", 7
    ),
    "hierarchical": System(
        "vae", "Hierarchical VAE", "Kingma et al. 2016, arXiv:1606.04934", None
    ),
    "vqvae": System(
        "vq", "VQ-VAE: a picture as a map of integers",
        "van den Oord et al. 2017, arXiv:1711.00937", None,
    ),
    "vqgan": System(
        "vq", "VQ-GAN: integers, and pictures that look right",
        "Esser et al. 2020, arXiv:2012.09841", None,
    ),
    "latent_diffusion": System(
        "vq", "Latent diffusion: first compress, then diffuse",
        "Rombach et al. 2022, arXiv:2112.10752", None,
    ),
    "token_prior": System(
        "vq", "Priors over a VQ-VAE's integers",
        "van den Oord et al. 2017, arXiv:1711.00937", None,
    ),
    "gan": System(
        "gan", "GAN in the plane, any objective", "Goodfellow et al. 2014, arXiv:1406.2661", 9
    ),
    "dcgan": System(
        "gan", "Deep convolutional GAN", "Radford et al. 2015, arXiv:1511.06434", None
    ),
    "cgan": System("gan", "Conditional GAN", "Mirza and Osindero 2014, arXiv:1411.1784", None),
    "acgan": System(
        "gan", "GAN with a class head", "Odena et al. 2016, arXiv:1610.09585", None
    ),
    "semi_gan": System(
        "gan", "Semi-supervised GAN: D is the classifier",
        "Salimans et al. 2016, arXiv:1606.03498", None,
    ),
    "biggan": System(
        "gan", "BigGAN: all classes in one model, and truncation",
        "Brock et al. 2019, arXiv:1809.11096", None,
    ),
    "text_gan": System(
        "gan", "Text to image: a GAN that is told captions", "Reed et al. 2016, arXiv:1605.05396",
        None,
    ),
    "wgan": System(
        "gan", "Wasserstein GAN with weight clipping", "Arjovsky et al. 2017, arXiv:1701.07875", 13
    ),
    "began": System(
        "gan", "Boundary equilibrium GAN", "Berthelot et al. 2017, arXiv:1703.10717", None
    ),
    "sdgan": System(
        "gan", "SD-GAN: a code of who, a code of how", "Donahue et al. 2018, arXiv:1705.07904", None
    ),
    "progan": System(
        "gan", "Progressive GAN: grown from 4 x 4 pixels", "Karras et al. 2018, arXiv:1710.10196",
        None,
    ),
    "stylegan": System(
        "gan", "StyleGAN2: styles for each convolution", "Karras et al. 2020, arXiv:1912.04958",
        None,
    ),
    "bigan": System(
        "gan", "BiGAN: an encoder, and a D of pairs", "Donahue et al. 2017, arXiv:1605.09782", None
    ),
    "aae": System(
        "gan", "Adversarial autoencoder", "Makhzani et al. 2015, arXiv:1511.05644", None
    ),
    "diffusion_2d": System(
        "diffusion", "Diffusion in the plane", "Sohl-Dickstein et al. 2015, arXiv:1503.03585", 16
    ),
    "ddpm": System(
        "diffusion", "Denoising diffusion model of images", "Ho et al. 2020, arXiv:2006.11239", 17
    ),
    "pix2pix": System(
        "translation", "pix2pix: a picture into another, from pairs",
        "Isola et al. 2016, arXiv:1611.07004", None,
    ),
    "clip": System(
        "text", "CLIP: pictures and captions compared", "Radford et al. 2021, arXiv:2103.00020",
        None,
    ),
    "text_to_image": System(
        "text", "Text to image: latent diffusion that reads captions",
        "Rombach et al. 2022, arXiv:2112.10752", None,
    ),
    "unclip": System(
        "text", "unCLIP: a caption, CLIP's embedding, a picture",
        "Ramesh et al. 2022, arXiv:2204.06125", None,
    ),
    "score": System(
        "score", "Score matching in the plane: exact, sliced, denoising",
        "Hyvarinen 2005; Song et al. 2019, arXiv:1905.07088", None,
    ),
    "ncsn": System(
        "score", "Noise-conditional score network, annealed Langevin",
        "Song and Ermon 2019, arXiv:1907.05600", None,
    ),
    "energy": System(
        "score", "Energy-based model in the plane, trained by Langevin",
        "Hinton 2002; Du and Mordatch 2019, arXiv:1903.08689", None,
    ),
}  # fmt: skip


PRETRAINED = Path(__file__).parent / "pretrained"  # benchmarks/quality/pretrained.py made them


def pretrained() -> list[str]:
    """The names of the checkpoints that come with tinygen, which `restore` takes too."""
    return sorted(path.stem for path in PRETRAINED.glob("*.npz"))


def build(slug: str, config: Mapping[str, Any]) -> nn.Module:
    """The untrained model that a config describes; ValueError names an unknown slug.

    config: a dict that JSON can hold; each system's own `build` says what it reads from it, and
    raises ValueError for what it needs and does not find.

    >>> import tinygen as tg
    >>> model = tg.models.build("vae", {"shape": (1, 8, 8), "latent": 2, "hidden": 16})
    >>> model.sample(5).shape
    (5, 1, 8, 8)
    """
    if slug not in SYSTEMS:
        raise ValueError(f"no system is called {slug!r}; there are {', '.join(SYSTEMS)}")
    module = importlib.import_module(f".{SYSTEMS[slug].family}.{slug}", __package__)
    model: nn.Module = module.build(config)
    return model


def restore(
    checkpoint: str | os.PathLike[str], averaged: bool = True
) -> tuple[str, dict[str, Any], Any]:
    """The slug, the config and the trained model (in evaluation mode) of a checkpoint.

    checkpoint: a file, or a name of `pretrained()`.
    averaged: with the exponential moving average of the weights where the run kept one.
    FileNotFoundError if there is no such file, RuntimeError if it is no checkpoint of a system,
    FloatingPointError if a state in it is NaN.
    """
    if str(checkpoint) in pretrained():
        checkpoint = PRETRAINED / f"{checkpoint}.npz"
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f"restore: there is no file {checkpoint}; pretrained are {', '.join(pretrained())}"
        )
    state = load(checkpoint)
    if not isinstance(state, dict) or not {"system", "config", "objects"} <= set(state):
        raise RuntimeError(f"restore: {checkpoint} is not a checkpoint of one of the systems")
    slug, config, objects = state["system"], state["config"], state["objects"]
    if slug not in SYSTEMS or "model" not in objects:
        raise RuntimeError(f"restore: {checkpoint} holds no model of a system (system: {slug!r})")
    if broken := find_nan(objects):
        raise FloatingPointError(f"restore: {checkpoint}: {broken} holds NaN; take another one")
    model: Any = build(slug, config)
    model.load_state_dict(objects["model"])
    # Of the model, or of the part that samples. Before its first update it is no average.
    if averaged and "ema" in objects and objects["ema"]["num_updates"]:
        shadow = objects["ema"]["shadow"]
        whole = set(shadow) <= set(model.state_dict())
        part = model if whole else getattr(model, "G", model)
        part.load_state_dict(shadow, strict=False)  # parameters, no buffers
    return slug, config, model.eval()


NEEDED: Any = object()


def settings(slug: str, config: Mapping[str, Any], **defaults: Any) -> SimpleNamespace:
    """What `build` reads from a config, by name; ValueError names what is NEEDED and not there.

    >>> from tinygen.models.systems import NEEDED, settings
    >>> settings("vae", {"latent": 8}, latent=2, hidden=256)
    namespace(latent=8, hidden=256)
    """
    missing = [name for name, value in defaults.items() if value is NEEDED and name not in config]
    if missing:
        raise ValueError(
            f"{slug}: no {', '.join(missing)} in the config; is it one of examples/{slug}.py?"
        )
    return SimpleNamespace(**{name: config.get(name, value) for name, value in defaults.items()})


def split(batch: Tensor | Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """A batch as (x, labels), labels None where it has none.

    >>> import tinygen as tg
    >>> x, labels = tg.models.systems.split((tg.zeros(5, 2), tg.arange(5)))
    >>> x.shape, labels.shape, tg.models.systems.split((x,))[1]
    ((5, 2), (5,), None)
    """
    if isinstance(batch, Tensor):
        return batch, None
    x, *rest = batch
    return x, rest[0] if rest else None
