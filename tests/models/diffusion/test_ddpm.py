"""A model of images from a run's settings, and back from the run's folder."""

from pathlib import Path

import numpy as np
import pytest

import tinygen as tg
from tinygen import models
from tinygen.models.diffusion import ddpm
from tinygen.run import Run

CONFIG = {
    "shape": [2, 8, 8], "classes": 3, "drop": 0.2, "width": 4, "depth": 1,
    "schedule": "cosine", "T": 6, "parameterisation": "v", "loss": "simple",
}  # fmt: skip


@pytest.mark.parametrize(("loss", "made", "variance"), [("simple", 2, "small"),
                                                        ("hybrid", 4, "learned")])  # fmt: skip
def test_the_settings_are_the_model(loss: str, made: int, variance: str) -> None:
    model = ddpm.build(CONFIG | {"loss": loss})
    assert (model.predicts, model.variance, model.classes) == ("v", variance, 3)
    assert model.drop == 0.2
    assert model.bounded and repr(model.process).startswith("VP cosine, T = 6")
    assert model.state_dict()["net.last.weight"].shape == (made, 4, 3, 3)
    assert model.predict(tg.zeros(5, 2, 8, 8), 6, 1).x0.shape == (5, 2, 8, 8)
    with pytest.raises(ValueError, match=r"ddpm: no shape in the config; is it one of .*ddpm"):
        ddpm.build({k: v for k, v in CONFIG.items() if k != "shape"})


def test_a_checkpoint_gives_the_model_and_both_kinds_of_weights_back(tmp_path: Path) -> None:
    model = ddpm.build(CONFIG)
    ema = tg.optim.EMA(model, 0.9)
    run = Run(tmp_path / "run", config=CONFIG, system="ddpm")
    run.track(model=model, ema=ema)
    for _ in run.steps(3):
        for p in model.parameters():
            tg.nn.init.normal_(p)
        ema.update()
    slug, config, raw = models.restore(tmp_path / "run" / "last.npz", averaged=False)
    assert slug == "ddpm" and config == CONFIG and not raw.training
    for ours, theirs in zip(raw.parameters(), model.parameters(), strict=True):
        assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())
    _, _, averaged = models.restore(tmp_path / "run" / "last.npz")
    ema.copy_to()
    for ours, theirs in zip(averaged.parameters(), model.parameters(), strict=True):
        assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())
    a, b = (averaged.sample(2, tg.Generator().manual_seed(1), labels=1, steps=2) for _ in "ab")
    assert a.shape == (2, 2, 8, 8) and np.array_equal(a.numpy(), b.numpy())


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    file = tmp_path / "last.npz"
    with pytest.raises(FileNotFoundError, match=r"restore: there is no .*last\.npz"):
        models.restore(file)
    tg.save({"weights": 1}, file)
    with pytest.raises(RuntimeError, match=r"last\.npz is not a checkpoint of one of the systems"):
        models.restore(file)
    tg.save({"system": "cats", "config": {}, "objects": {"model": {}}}, file)
    with pytest.raises(RuntimeError, match=r"holds no model of a system \(system: 'cats'\)"):
        models.restore(file)
    model = ddpm.build(CONFIG)
    model.net.last.bias._array[0] = np.nan
    tg.save({"system": "ddpm", "config": CONFIG, "objects": {"model": model.state_dict()}}, file)
    with pytest.raises(FloatingPointError, match=r"last\.npz: model\.net\.last\.bias holds NaN"):
        models.restore(file)
