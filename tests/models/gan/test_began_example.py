"""examples/began.py: k moves, and the pictures show what D rebuilds."""

import json
from pathlib import Path

from examples import checked


def test_k_moves_and_is_in_the_log(tmp_path: Path) -> None:
    said = checked(tmp_path, "began", "--steps", 3, "--width", 4, "--batch", 16, "--code", 2)
    assert "reconstructions.png" in said and "neighbours.png" in said
    log = (tmp_path / "runs" / "began" / "log.jsonl").read_text().splitlines()
    k = [json.loads(line)["k"] for line in log]
    assert 0 < k[0] < k[1] < k[2] <= 0.3  # at most 0.1 a step
