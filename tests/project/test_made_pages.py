"""What is made by a script is as the script makes it."""

import subprocess
import sys
from pathlib import Path

import pytest

import tinygen
from tinygen.models import SYSTEMS

ROOT = Path(tinygen.__file__).parent.parent
BUILD = ROOT / "docs" / "build.py"


@pytest.mark.skipif(not BUILD.exists(), reason="no clone")
def test_cards_and_the_table_of_examples_are_not_stale() -> None:
    done = subprocess.run([sys.executable, BUILD, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nrun: python docs/build.py"


@pytest.mark.skipif(not BUILD.exists(), reason="no clone")
@pytest.mark.parametrize("slug", SYSTEMS)
def test_a_card_says_what_it_is_and_what_goes_wrong(slug: str) -> None:
    card = (ROOT / "docs" / "cards" / f"{slug}.md").read_text()
    assert "What goes wrong:" in card and SYSTEMS[slug].paper in card
    if "No run is recorded yet" not in card:
        assert f"`python examples/{slug}.py" in card and f"{slug}.png" in card
