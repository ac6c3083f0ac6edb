"""How long `import tinygen` takes beside `import numpy`: python benchmarks/speed/import_time.py

Each import is timed in a fresh process, the two in turn, and the fastest of each counts: what is
slower than that was another program's doing. At most 0.15 s are to come on top of NumPy's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 15
CODE = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def seconds(module: str) -> float:
    command = [sys.executable, "-c", CODE.format(module)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(run.stdout)


def main() -> None:
    rounds = [(seconds("numpy"), seconds("tinygen")) for _ in range(ROUNDS)]
    numpy, tinygen = (min(times) for times in zip(*rounds, strict=True))
    print(f"import numpy    {1000 * numpy:6.0f} ms")
    print(f"import tinygen  {1000 * tinygen:6.0f} ms, NumPy's share included")
    print(f"added           {1000 * (tinygen - numpy):6.0f} ms (at most 150)")


if __name__ == "__main__":
    main()
