"""How often `tune` keeps its promise, where the true rates are known.

    uv run benchmarks/tuning.py [--runs 200]

For every population of `tests/support/similarity_populations.py` and two settings (2,000 labels at
a budget of .02, 300 labels at .10), it prints of how many runs

- the true rate of wrong hits exceeds the budget ("above"; 5 % are allowed),
- the hit ratio is within .05 of the best possible ("near"),
- there is no threshold ("none"),

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
    print("| population | budget | labels | best hit ratio | above | near | none | one test |")
    print("|---|---|---|---|---|---|---|---|")
    for name, population in {**REALISTIC, **ADVERSARIAL}.items():
        for budget, labels in ((0.02, 2000), (0.10, 300)):
            outcome = simulate(population, labels, budget, runs)
            known = runs
            if outcome.best > 0.05:
                known = round(runs * best_single_test(population, labels, budget))
            print(
                f"| {name} | {budget} | {labels} | {outcome.best:.3f} | {outcome.above_budget} "
                f"| {outcome.near_best} | {outcome.without_threshold} | {known} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
