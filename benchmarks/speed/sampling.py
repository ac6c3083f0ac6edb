"""Drawing tokens with the keys and values of those before kept, and with a whole pass for each.

    OPENBLAS_NUM_THREADS=1 python benchmarks/speed/sampling.py [--out NAME]

Milliseconds of CPU a token of the token prior that workload 11 trains: 64 tokens of 128 values, 8
layers, width 128, 4 heads. Both ways take turns, and both draw the same tokens."""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tinygen as tg  # noqa: E402

CODES = {"shape": (3, 32, 32), "width": 8, "size": 128}  # 8 x 8 places
SIZES = {"width": 128, "layers": 8, "heads": 4}


def measure(model: Any, n: int, repeats: int) -> dict[str, float]:
    """ms a token of one of n pictures, by cache and by whole passes; medians over the turns."""
    ms: dict[bool, list[float]] = {True: [], False: []}
    drawn = {}
    for turn in range(repeats):
        for cache in (True, False):
            generator = tg.Generator().manual_seed(turn)
            start = time.process_time()
            drawn[cache] = model.draw(n, generator, cache=cache)
            ms[cache].append(1e3 * (time.process_time() - start) / (n * model.length))
        if not (drawn[True] == drawn[False]).all():
            raise AssertionError("with and without a cache other tokens were drawn")
    cached, whole = (statistics.median(ms[cache]) for cache in (True, False))
    return {"n": n, "cached_ms": cached, "uncached_ms": whole, "ratio": whole / cached}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write OUT.json")
    args = parser.parse_args()
    tg.manual_seed(0)
    model = tg.models.build("token_prior", {"codes": CODES, **SIZES}).eval()
    rows = []
    for n in (1, 32):
        rows.append(measure(model, n, args.repeats))
        print("{n:3d} pictures: {cached_ms:.2f} ms a token with a cache, {uncached_ms:.2f} "
              "without: {ratio:.1f} times".format(**rows[-1]), flush=True)  # fmt: skip
    if args.out:
        args.out.with_suffix(".json").write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
