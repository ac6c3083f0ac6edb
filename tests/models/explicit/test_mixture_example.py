"""examples/mixture.py: EM climbs, every model beats independent pixels and draws its pictures."""

import json
import re
from pathlib import Path

import pytest

from examples import checked, run


def log_p(said: str) -> float:
    """The test log p(x) that a run prints."""
    return float(re.findall(r"test log p\(x\) (-?[\d.]+)", said)[0])


def test_more_components_are_better(tmp_path: Path) -> None:
    one = checked(tmp_path, "mixture", "--components", 1, "--steps", 2, "--out", "one")
    many = checked(tmp_path, "mixture", "--components", 10, "--steps", 20, "--out", "many")
    log = (tmp_path / "many" / "log.jsonl").read_text().splitlines()
    found = [json.loads(line)["log_p"] for line in log]
    assert found == sorted(found) and len(found) == 20
    assert log_p(many) > log_p(one) + 1


@pytest.mark.parametrize(
    ("options", "least", "pictures"),
    [
        ("--model tree", -24.7, ["completions", "samples", "tree"]),
        ("--model hmm --steps 8 --components 20", -25.5, ["reconstructions", "samples"]),
        ("--model naive_bayes", -23.7, ["components", "few"]),
        ("--model gaussian --steps 3 --components 2", 45.0, ["components", "completions"]),
        ("--model gaussian --data pinwheel --components 12 --steps 20", -1.3, ["density"]),
    ],
)
def test_every_model_learns_and_draws(
    tmp_path: Path, options: str, least: float, pictures: list[str]
) -> None:
    said = checked(tmp_path, "mixture", *options.split())
    assert log_p(said) > least  # one coin a pixel has -26.65; one Gaussian 47.7, pinwheel -2.25
    for name in pictures:
        assert f"{name}.png" in said
    if "naive" in options:
        rates = re.findall(r" (\d+) labels: naive Bayes (\S+) %, logistic regression (\S+) %", said)
        (n, naive, other), last = rates[0], rates[-1]
        assert n == "16" and float(naive) > float(other) + 1, "few labels: the generative one"
        assert float(last[2]) > float(last[1]), "many: the discriminative one"


def test_points_of_the_plane_need_gaussians(tmp_path: Path) -> None:
    done = run(tmp_path, "mixture", "--data", "pinwheel")
    assert done.returncode == 2 and "it needs --model gaussian" in done.stderr
