"""examples/energy.py: both starts and samplers, the normaliser on the grid."""

import re
from pathlib import Path

from examples import checked


def test_contrastive_divergence_with_plain_langevin(tmp_path: Path) -> None:
    words = (
        "--steps 5 --batch 16 --hidden 8 --chain 2 --walk 9 --start data --sampler langevin".split()
    )
    said = checked(tmp_path, "energy", *words, "--data", "two_modes")
    model, law, gaussian = re.findall(r"(\d\.\d{3})(?: nats)?,?", said.split("test points:")[1])[:3]
    assert float(law) < float(gaussian) < float(model) + 5.0
    assert said.count("on the grid") == 2
    for name in ("chain.gif", "density.png", "field.png", "landscape.png", "samples.png"):
        assert name in said
