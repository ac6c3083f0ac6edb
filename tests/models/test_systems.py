"""Every system answers the same questions, and every file is in the one list."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygen as tg
from examples import EXAMPLES, TINY
from tinygen import models
from tinygen.models import SYSTEMS
from tinygen.run import Run

FOLDER, TESTS = Path(models.__file__).parent, Path(__file__).parent
PICTURE, LABELLED = {"shape": (1, 8, 8)}, {"shape": (1, 8, 8), "classes": 3}

CODES = PICTURE | {"width": 4, "size": 8}
SCALES = CODES | {"quantiser": "scales"}

TOLD = PICTURE | {"words": ["a", "cat"]}
SILENT = {"clip"}  # it compares, and does not draw

# Densities of zeros and ones, and of nothing else.
BINARY = {"mixture", "made", "pixelcnn", "pixelrnn", "image_gpt", "markov_field"}

# Every system, and those of its variants that build or sample in another way.
CONFIGS: list[tuple[str, dict[str, Any]]] = [
    ("mixture", PICTURE | {"components": 3}),
    ("mixture", {"shape": (2,), "model": "gaussian", "components": 3}),
    ("mixture", PICTURE | {"model": "tree"}),
    ("mixture", PICTURE | {"model": "hmm", "components": 3, "prior": 0.1}),
    ("mixture", LABELLED | {"model": "naive_bayes"}),
    ("markov_field", PICTURE | {"hidden": 4, "chains": 6}),
    ("markov_field", {"shape": (1, 3, 3), "model": "rbm", "hidden": 4, "chains": 0}),
    ("markov_field", {"shape": (1, 4, 4), "model": "ising"}),
    ("markov_field", PICTURE | {"model": "ising", "learn": "pseudo", "coupling": 0.3}),
    ("made", PICTURE | {"hidden": 80, "orders": 2}),
    ("pixelcnn", PICTURE | {"width": 4, "layers": 2}),
    ("pixelcnn", LABELLED | {"width": 4, "layers": 2, "likelihood": "logistic", "levels": 2}),
    ("image_gpt", PICTURE | {"width": 8, "layers": 2, "heads": 2}),
    ("image_gpt", LABELLED | {"width": 8, "layers": 1, "likelihood": "softmax", "levels": 2}),
    ("flow", {"shape": (2,), "hidden": 4, "layers": 2}),
    ("flow", PICTURE | {"flow": "glow", "hidden": 4, "layers": 2, "scales": 2}),
    ("flow", PICTURE | {"flow": "maf", "hidden": 80, "layers": 1, "scales": 1, "bins": 2}),
    ("flow", {"shape": (2,), "flow": "ffjord", "hidden": 4, "ode_steps": 2}),
    ("flow", {"shape": (2,), "flow": "matching", "hidden": 4, "ode_steps": 2, "mean": [1.0, 2.0]}),
    ("pixelrnn", PICTURE | {"width": 4, "layers": 1}),
    ("pixelrnn", PICTURE | {"width": 4, "layers": 1, "model": "diagonal"}),
    ("autoencoder", PICTURE | {"latent": 4}),
    ("autoencoder", PICTURE | {"latent": 4, "kind": "ksparse", "k": 2, "loss": "ssim"}),
    ("autoencoder", PICTURE | {"latent": 4, "kind": "sparse", "net": "notes"}),
    ("vae", PICTURE | {"hidden": 8}),
    ("vae", LABELLED | {"net": "conv", "likelihood": "pixel"}),
    ("hierarchical", PICTURE | {"sizes": (4, 2), "hidden": 8}),
    ("hierarchical", PICTURE | {"shared": 2, "hidden": 8}),
    ("vqvae", PICTURE | {"width": 4, "size": 8}),
    ("vqvae", PICTURE | {"width": 4, "size": 8, "quantiser": "loss"}),
    ("vqgan", PICTURE | {"width": 4, "size": 8, "d_width": 4, "d_halvings": 1}),
    ("latent_diffusion", LABELLED | {"width": 4, "ae_width": 4, "T": 4}),
    ("latent_diffusion", PICTURE | {"width": 4, "ae_width": 4, "T": 4, "space": "vq", "size": 8}),
    ("latent_diffusion", PICTURE | {"width": 4, "T": 4, "space": "pixels"}),
    ("pix2pix", PICTURE | {"told": (3, 8, 8), "width": 4, "d_width": 4}),
    ("pix2pix", PICTURE | {"told": (1, 8, 8), "width": 4, "d_width": 4, "patch": 1, "blind": True}),
    ("clip", TOLD | {"width": 4, "dim": 8, "text_width": 8}),
    ("text_to_image", TOLD | {"width": 8, "ae_width": 4, "T": 4}),
    ("text_to_image", TOLD | {"width": 8, "ae_width": 4, "T": 4, "net": "dit"}),
    ("unclip", TOLD | {"width": 8, "ae_width": 4, "hidden": 8, "T": 4}),
    ("token_prior", PICTURE | {"codes": CODES, "width": 8, "layers": 1}),
    ("token_prior", LABELLED | {"codes": CODES, "width": 8, "layers": 2, "prior": "pixelcnn"}),
    ("token_prior", PICTURE | {"codes": SCALES, "width": 8, "layers": 1, "prior": "var"}),
    ("token_prior", LABELLED | {"codes": CODES, "width": 8, "layers": 1, "prior": "maskgit"}),
    ("token_prior", LABELLED | {"codes": CODES, "width": 8, "layers": 1}),
    ("gan", {"shape": (2,), "hidden": 8}),
    ("gan", PICTURE | {"hidden": 8, "virtual": 4, "objective": "wgan_gp"}),
    ("dcgan", PICTURE | {"width": 2, "minibatch": 2}),
    ("dcgan", PICTURE | {"width": 2, "encoding": 3, "entropy": 0.1}),
    ("cgan", LABELLED | {"width": 2}),
    ("acgan", LABELLED | {"width": 2}),
    ("biggan", LABELLED | {"width": 2, "latent": 6}),
    ("text_gan", TOLD | {"width": 2, "latent": 4, "text_width": 8}),
    ("semi_gan", LABELLED | {"hidden": 8}),
    ("wgan", PICTURE | {"width": 2}),
    ("wgan", {"shape": (2,), "line": True}),
    ("began", PICTURE | {"width": 2}),
    ("sdgan", PICTURE | {"width": 2}),
    ("progan", PICTURE | {"width": 2, "latent": 4}),
    ("stylegan", PICTURE | {"width": 2, "latent": 4, "truncation": 0.7}),
    ("stylegan", PICTURE | {"width": 2, "latent": 4, "adain": True, "ada": 0.6}),
    ("bigan", PICTURE | {"width": 2, "hidden": 8, "stochastic": True}),
    ("bigan", PICTURE | {"width": 2, "hidden": 8, "unary": True, "objective": "hinge"}),
    ("aae", PICTURE | {"hidden": 8, "encoder": "implicit"}),
    ("aae", LABELLED | {"hidden": 8, "encoder": "gaussian", "prior": "mixture"}),
    ("aae", LABELLED | {"hidden": 8, "latent": 3, "prior": "classes", "weight": 5.0}),
    ("diffusion_2d", {"hidden": 8, "T": 4}),
    ("ddpm", LABELLED | {"width": 4, "T": 4, "loss": "hybrid", "levels": 17}),
    ("score", {"hidden": 8, "levels": 3, "chain": 2}),
    ("score", {"hidden": 8, "levels": 1, "chain": 2, "objective": "exact"}),
    ("score", {"hidden": 8, "levels": 3, "chain": 2, "objective": "sliced", "step": 0.1}),
    ("ncsn", PICTURE | {"width": 4, "levels": 3, "chain": 2}),
    ("energy", {"hidden": 8, "chain": 2, "size": 20}),
    ("energy", {"hidden": 8, "chain": 2, "size": 20, "start": "data", "sampler": "langevin"}),
]
each = pytest.mark.parametrize(
    ("slug", "config"), CONFIGS, ids=[f"{slug}-{len(c)}" for slug, c in CONFIGS]
)


drawing = pytest.mark.parametrize(
    ("slug", "config"), [row for row in CONFIGS if row[0] not in SILENT],
    ids=[f"{slug}-{len(c)}" for slug, c in CONFIGS if slug not in SILENT],
)  # fmt: skip


def built(slug: str, config: dict[str, Any]) -> Any:
    tg.manual_seed(0)
    return models.build(slug, config)


def drawn(model: Any, n: int = 5, seed: int = 1) -> np.ndarray:
    """The same n samples for the same seed, of labels 0, 1, 2, 0, .. where there are any.

    Of what translates pictures: of the same n.
    """
    generator = tg.Generator().manual_seed(seed)
    if hasattr(model, "translate"):
        return model.translate(pictures(n, model.told), generator).numpy()
    labels = tg.arange(n) % model.classes if model.classes else None
    return model.sample(n, generator, labels).detach().numpy()


def pictures(n: int, shape: Sequence[int]) -> tg.Tensor:
    return tg.rand(n, *shape, generator=tg.Generator().manual_seed(0)) * 2.0 - 1.0


def same(a: Any, b: Any) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(np.array_equal(a[k].numpy(), b[k].numpy()) for k in a)


@each
def test_a_config_is_json_and_says_all(slug: str, config: dict[str, Any]) -> None:
    again = json.loads(json.dumps(config))
    assert same(built(slug, config), built(slug, again))


@drawing
def test_samples_are_those_of_their_generator(slug: str, config: dict[str, Any]) -> None:
    model = built(slug, config)
    before = tg.get_rng_state()
    x = drawn(model)
    assert x.shape == (5, *config.get("shape", (2,))) and np.isfinite(x).all()
    assert np.array_equal(x, drawn(model)) and not np.array_equal(x, drawn(model, seed=2))
    assert np.array_equal(before, tg.get_rng_state()), "the default generator was used"


@drawing
def test_of_none_there_are_none(slug: str, config: dict[str, Any]) -> None:
    x = drawn(built(slug, config).eval(), 0)
    assert x.shape == (0, *config.get("shape", (2,)))


def reached(loss: tg.Tensor, params: Sequence[tg.Tensor]) -> bool:
    loss.backward()
    return bool(params) and all(p.grad is not None for p in params)


@each
def test_terms_have_a_loss_that_reaches_every_parameter(slug: str, config: dict[str, Any]) -> None:
    model = built(slug, config)
    low, high = model.pixels
    x = low + (high - low) * tg.rand(6, *config.get("shape", (2,)))
    x = x.round() if slug in BINARY else x
    labels = tg.arange(6) % model.classes if model.classes else None
    if "words" in config:
        labels = model.tokens(["a cat", "cat", "a a cat"] * 2)
    batch = (x,) if labels is None else (x, labels)
    if hasattr(model, "translate"):
        batch = pictures(6, model.told), x
        for part, terms in (
            (model.D, model.discriminator_terms(batch)), (model.G, model.generator_terms(batch))
        ):  # fmt: skip
            assert terms["loss"].shape == () and reached(terms["loss"], list(part.parameters()))
        return
    if slug == "progan":
        model.grow(1, 0.5)  # all of it is in play
    if isinstance(model, models.gan.GAN):
        for part, terms in (
            (model.D, model.discriminator_terms(batch)),
            (model.G, model.generator_terms(6, labels)),
        ):
            learns = [p for p in part.parameters() if p.requires_grad]
            assert terms["loss"].shape == () and reached(terms["loss"], learns)
        return
    terms = model.terms(batch)
    assert all(isinstance(value, tg.Tensor) and value.shape == () for value in terms.values())
    if slug == "mixture":  # fitted by EM: nothing to differentiate
        assert not list(model.parameters()) and np.isfinite(terms["loss"].item())
    else:
        learner = getattr(model, "diffusion", model)  # an autoencoder below it stays as it is
        assert reached(terms["loss"], [p for p in learner.parameters() if p.requires_grad])


@each
def test_a_checkpoint_gives_the_model_back(
    slug: str, config: dict[str, Any], tmp_path: Path
) -> None:
    model = built(slug, config)
    run = Run(tmp_path, config=config, system=slug)
    run.track(model=model)
    run.save()
    tg.manual_seed(7)
    name, found, again = models.restore(tmp_path / "last.npz")
    assert name == slug and found == json.loads(json.dumps(config)) and same(model, again)
    draws = hasattr(again, "sample") or hasattr(again, "translate")
    assert not again.training and draws == (slug not in SILENT)
    if slug not in SILENT:
        assert np.array_equal(drawn(model.eval()), drawn(again))


def test_what_is_missing_in_a_config_is_named() -> None:
    with pytest.raises(ValueError, match=r"cgan: no shape, classes in the config; is it one of"):
        models.build("cgan", {"width": 2})
    with pytest.raises(ValueError, match="no system is called 'vea'; there are mixture, "):
        models.build("vea", {})


# --- the list and the files ---------------------------------------------------------------------


def files_that_build() -> set[tuple[str, str]]:
    """(family, slug) of every file in a family's folder that defines `build`."""
    found = set()
    for path in FOLDER.glob("*/*.py"):
        names = [node.name for node in ast.parse(path.read_text()).body
                 if isinstance(node, ast.FunctionDef)]  # fmt: skip
        if "build" in names:
            found.add((path.parent.name, path.stem))
    return found


def test_the_list_and_the_files_are_the_same() -> None:
    listed = {(system.family, slug) for slug, system in SYSTEMS.items()}
    assert files_that_build() == listed
    assert {path.stem for path in EXAMPLES.glob("*.py")} - {"sample"} == set(SYSTEMS)
    tests = {(path.parent.name, path.stem) for path in TESTS.glob("*/test_*_example.py")}
    assert tests == {(family, f"test_{slug}_example") for family, slug in listed}
    assert set(TINY) == set(SYSTEMS) == {slug for slug, _ in CONFIGS}
