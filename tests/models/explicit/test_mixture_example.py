"""examples/mixture.py: EM climbs, and more components explain the test pictures better."""

import json
import re
from pathlib import Path

from examples import checked


def test_more_components_are_better(tmp_path: Path) -> None:
    one = checked(tmp_path, "mixture", "--components", 1, "--steps", 2, "--out", "one")
    many = checked(tmp_path, "mixture", "--components", 10, "--steps", 20, "--out", "many")
    log = (tmp_path / "many" / "log.jsonl").read_text().splitlines()
    log_p = [json.loads(line)["log_p"] for line in log]
    assert log_p == sorted(log_p) and len(log_p) == 20
    (few,), (more,) = (re.findall(r"test log p\(x\) (-\S+)", said) for said in (one, many))
    assert float(more) > float(few) + 1
