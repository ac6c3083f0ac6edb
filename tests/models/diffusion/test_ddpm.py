"""A model of images from a run's settings, and back from the run's folder."""

from pathlib import Path

import numpy as np
import pytest

import tinygen as tg
from tinygen.models.diffusion import ddpm
from tinygen.run import Run, load_run

CONFIG = {
    "shape": [2, 8, 8], "classes": 3, "drop": 0.2, "width": 4, "depth": 1,
    "schedule": "cosine", "T": 6, "parameterisation": "v", "loss": "simple",
}  # fmt: skip


@pytest.mark.parametrize(("loss", "made", "variance"), [("simple", 2, "small"),
                                                        ("hybrid", 4, "learned")])  # fmt: skip
def test_the_settings_are_the_model(loss: str, made: int, variance: str) -> None:
    model = ddpm.image_model(CONFIG | {"loss": loss})
    assert (model.predicts, model.variance, model.classes) == ("v", variance, 3)
    assert model.drop == 0.2
    assert model.bounded and repr(model.process).startswith("VP cosine, T = 6")
    assert model.state_dict()["net.last.weight"].shape == (made, 4, 3, 3)
    assert model.predict(tg.zeros(5, 2, 8, 8), 6, 1).x0.shape == (5, 2, 8, 8)
    with pytest.raises(ValueError, match=r"no shape, T in the settings; is this a run of .*ddpm"):
        ddpm.image_model({k: v for k, v in CONFIG.items() if k not in ("T", "shape")})


def test_a_run_gives_its_settings_and_both_kinds_of_weights_back(tmp_path: Path) -> None:
    model = ddpm.image_model(CONFIG)
    ema = tg.optim.EMA(model, 0.9)
    run = Run(tmp_path / "run", config=CONFIG)
    run.track(model=model, ema=ema)
    for _ in run.steps(3):
        for p in model.parameters():
            tg.nn.init.normal_(p)
        ema.update()
    config, state = load_run(tmp_path / "run" / "last.npz")
    assert config == CONFIG
    again = ddpm.image_model(config)
    again.load_state_dict(state["model"])
    for ours, theirs in zip(again.parameters(), model.parameters(), strict=True):
        assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())
    again.load_state_dict(state["ema"]["shadow"], strict=False)
    ema.copy_to()
    for ours, theirs in zip(again.parameters(), model.parameters(), strict=True):
        assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    file = tmp_path / "last.npz"
    with pytest.raises(FileNotFoundError, match=r"load_run: there is no .*last\.npz"):
        load_run(file)
    tg.save({"weights": 1}, file)
    with pytest.raises(FileNotFoundError, match=r"there is no .*config\.json"):
        load_run(file)
    (tmp_path / "config.json").write_text('{"config": {}}')
    with pytest.raises(RuntimeError, match=r"last\.npz is not a checkpoint of a Run"):
        load_run(file)
