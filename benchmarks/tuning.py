"""How often `tune` keeps its promise, where the true rates are known.

    uv run benchmarks/tuning.py [--runs 200]

For every population of `tests/support/similarity_populations.py` and two settings (a budget of 2 %
with 2,000 labels, and 10 % with 300), it prints of how many runs

- the true rate of wrong hits exceeds the budget ("above"; 5 % are allowed),
- the hit ratio is within .05 of the best possible ("near"), or that no threshold is possible,

and, as a yardstick, of how many runs one test would pass at the best threshold, if that were known
beforehand ("one test").
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))

from similarity_populations import ADVERSARIAL, REALISTIC, best_single_test, simulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=200, help="runs for each setting")
    runs = parser.parse_args().runs
    print(
        "| | 2 %, 2,000 labels: above | near | one test "
        "| 10 %, 300 labels: above | near | one test |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, population in {**REALISTIC, **ADVERSARIAL}.items():
        cells = [name]
        for budget, labels in ((0.02, 2000), (0.10, 300)):
            outcome = simulate(population, labels, budget, runs)
            cells.append(str(outcome.above_budget))
            if outcome.best > 0.05:
                power = best_single_test(population, labels, budget)
                cells += [str(outcome.near_best), str(round(runs * power))]
            else:
                cells += ["no threshold", ""]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
