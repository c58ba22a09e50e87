"""Figures of the experiments as JSON files, one a run; they are what docs/paper.md is made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).with_name("results")


def save(experiment: str, case: str, seed: int | str, figures: dict[str, Any]) -> None:
    """Keep the figures of one run, and print them."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps({"experiment": experiment, "case": case, "seed": seed, **figures}, indent=1)
    (FOLDER / f"{experiment}-{case}-{seed}.json").write_text(text + "\n")
    told = ", ".join(f"{key} {value:.3f}" for key, value in figures.items() if isinstance(value, float))
    print(f"{experiment} {case}, seed {seed}: {told}", flush=True)


def load(experiment: str, case: str) -> list[dict[str, Any]]:
    """All runs of a case, by seed."""
    paths = sorted(FOLDER.glob(f"{experiment}-{case}-[0-9]*.json"))
    return [json.loads(path.read_text()) for path in paths if path.stem.rsplit("-", 1)[1].isdecimal()]


def spread(runs: list[dict[str, Any]], key: str, form: str = "{:.3f}") -> str:
    """Mean ± deviation over the runs that have the figure."""
    values = [run[key] for run in runs if key in run]
    if not values:
        return "–"
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(np.mean(values))} ± {form.format(np.std(values))}"
