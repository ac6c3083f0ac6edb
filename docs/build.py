"""Make what is made: docs/cards/<slug>.md, the tables in examples/README.md and docs/pytorch.md.

    python docs/build.py            write them
    python docs/build.py --check    write nothing; exit status 1 where one is stale

A card is the system's docstring, its default command and what that command printed and drew when
`benchmarks/quality/examples.py` ran it. No number in it is typed by hand.
"""

import argparse
import importlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tinygen.lessons import lessons  # noqa: E402
from tinygen.models import SYSTEMS  # noqa: E402
from tinygen.names import GROUPS  # noqa: E402

RECORD = "python benchmarks/quality/examples.py"
FAMILIES = {
    "explicit": "Explicit densities",
    "autoregressive": "Autoregressive models",
    "flow": "Normalizing flows",
    "score": "Scores and energies",
    "vae": "Autoencoders",
    "gan": "Adversarial networks",
    "diffusion": "Diffusion",
    "vq": "Codes of integers",
    "translation": "Pictures into pictures",
    "text": "Words and pictures",
}


def results(slug: str) -> dict[str, Any]:
    path = ROOT / "benchmarks" / "results" / SYSTEMS[slug].family / f"{slug}.json"
    return json.loads(path.read_text()) if path.exists() else {"rows": {}, "versions": {}}


def picture(slug: str) -> Path | None:
    path = ROOT / "benchmarks" / "results" / SYSTEMS[slug].family / f"{slug}.png"
    return path if path.exists() else None


def link(path: Path, start: Path) -> str:
    return Path(os.path.relpath(path, start)).as_posix()


def lesson(number: int | None, start: Path) -> str:
    if number is None:
        return ""
    found = next(x for x in lessons() if x.number == number)
    return f"[lesson {number}]({link(found.path, start)})"


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def markdown(docstring: str) -> str:
    """A docstring as Markdown: indented blocks are formulas and stay as they are."""
    return re.sub(r"(?m)^(\S.*)\n( {4})", r"\1\n\n\2", docstring.strip())


def card(slug: str) -> str:
    system, here = SYSTEMS[slug], ROOT / "docs" / "cards"
    module = importlib.import_module(f"tinygen.models.{system.family}.{slug}")
    file = ROOT / "tinygen" / "models" / system.family / f"{slug}.py"
    example = ROOT / "examples" / f"{slug}.py"
    parts = [f"# {system.title}\n"]
    facts = [
        f"`{slug}`", FAMILIES[system.family], system.paper, lesson(system.lesson, here),
        f"[model]({link(file, here)})", f"[example]({link(example, here)})",
    ]  # fmt: skip
    figures = ROOT / "benchmarks" / "results" / system.family / "figures.md"
    if figures.exists():
        facts.append(f"[figures]({link(figures, here)})")
    parts.append(" · ".join(fact for fact in facts if fact) + "\n")
    if path := picture(slug):
        parts.append(f"![samples of {slug}]({link(path, here)})\n")
    parts.append(markdown(module.__doc__ or "") + "\n")
    found = results(slug)
    if not found["rows"]:
        parts.append(f"No run is recorded yet: `{RECORD} {slug}` makes the record.\n")
    for command, row in found["rows"].items():
        v = found["versions"]
        parts.append(f"## `python {command}`\n")
        parts.append(
            f"{duration(row['seconds'])} on {v['cores']} shared cores (tinygen {v['tinygen']}, "
            f"NumPy {v['numpy']}, Python {v['python']}). It prints\n"
        )
        parts.append("\n".join(f"    {line}" for line in row["said"]) + "\n")
    return "\n".join(parts)


def table() -> str:
    here = ROOT / "examples"
    parts = [
        "# The examples\n",
        "One flat script a system: `python examples/vae.py`, `python examples/vae.py --help`. Each "
        "reads from top to bottom: options, data, model, optimizer, loop, samples. The seconds are "
        "those of the default command on 2 shared cores. This table is made by `docs/build.py`.\n",
    ]
    shown = {system.family for system in SYSTEMS.values()}
    for family, title in ((f, t) for f, t in FAMILIES.items() if f in shown):
        parts += [
            f"## {title}\n",
            "|  | example | what | paper | lesson | time |",
            "|---|---|---|---|---|---|",
        ]
        for slug, system in SYSTEMS.items():
            if system.family != family:
                continue
            path, rows = picture(slug), list(results(slug)["rows"].values())
            image = f'<img src="{link(path, here)}" width="110" alt="">' if path else ""
            time = duration(rows[0]["seconds"]) if rows else ""
            parts.append(
                f"| {image} | [{slug}]({slug}.py) | [{system.title}](../docs/cards/{slug}.md) | "
                f"{system.paper} | {lesson(system.lesson, here)} | {time} |"
            )
        parts.append("")
    parts.append(
        "`sample.py` draws from any checkpoint: `python examples/sample.py runs/vae/last.npz`.\n"
    )
    return "\n".join(parts)


def left_out() -> str:
    """docs/pytorch.md: what is written there by hand, then the table of tinygen/names.py."""
    by_hand = (ROOT / "docs" / "pytorch.md").read_text().partition("## What is left out\n")[0]
    parts = [
        by_hand.rstrip(),
        "\n## What is left out\n",
        "Asking for such a name says why, and what to use instead; a `*` stands for anything. This "
        "table is made of `tinygen/names.py` by `docs/build.py`.\n",
        "| names | why | instead |",
        "|---|---|---|",
    ]
    parts += [f"| `{names}` | {why} | {instead} |" for names, why, instead in GROUPS]
    return "\n".join(parts) + "\n"


def pages() -> dict[Path, str]:
    """Every page by its path."""
    made = {ROOT / "docs" / "cards" / f"{slug}.md": card(slug) for slug in SYSTEMS}
    made[ROOT / "docs" / "pytorch.md"] = left_out()
    return made | {ROOT / "examples" / "README.md": table()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    args = parser.parse_args()
    stale = [p for p, text in pages().items() if not p.exists() or p.read_text() != text]
    for path in stale:
        print(f"{'stale' if args.check else 'wrote'}: {path.relative_to(ROOT)}")
        if not args.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(pages()[path])
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
