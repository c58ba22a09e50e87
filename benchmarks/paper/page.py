"""Fill the tables of docs/paper.md from benchmarks/paper/results.

    python benchmarks/paper/page.py

Text stays as it is; what stands between <!-- NAME --> and <!-- end --> is replaced by the table of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import methods
from results import load, spread

from saidcodec.evaluation.page import fill

PAGE = Path(__file__).parents[2] / "docs" / "paper.md"
DETECTION = {  # case: (name, the paper's AP and count error)
    "said": ("SAID, the paper's rule", "0.503 ± 0.005", "0.810 ± 0.040"),
    "said-searched": ("the same networks, boxes searched about each proposal", "", ""),
    "said-gradient": ("boxes by the paper's gradient alone, slower rate", "", ""),
    "files-context": ("SAID by real bits: default `.said` files", "", ""),
    "files-gaussian": ("the same with the Gaussian residual", "", ""),
    "spair": ("SPAIR", "0.501 ± 0.004", "0.261 ± 0.032"),
    "space": ("SPACE", "0.310 ± 0.041", "0.031 ± 0.005"),
}
ABLATION = {
    "said-no-alpha": ("no alpha", "0.490 ± 0.008", "0.731 ± 0.040"),
    "said-no-scope": ("no scope", "0.341 ± 0.006", "1.710 ± 0.110"),
    "said-vae8": ("VAE8 start", "0.452 ± 0.008", "1.101 ± 0.031"),
    "said": ("SAID", "0.503 ± 0.005", "0.810 ± 0.040"),
}
SUMS = {  # the paper's train and test accuracy, fixed and tuned
    "truth": ("true boxes", "30.3 / 29.2 %", "97.5 / 92.3 %"),
    "spair": ("SPAIR", "25.8 / 24.0 %", "24.6 / 22.0 %"),
    "space": ("SPACE", "15.1 / 14.4 %", "42.3 / 30.1 %"),
    "said": ("SAID", "22.3 / 21.3 %", "57.8 / 31.9 %"),
    "said-searched": ("SAID, boxes searched about each proposal", "", ""),
    "files": ("boxes of `.said` files", "", ""),
}
DATASETS = {"multimnist": "Multi-MNIST", "multidsprites": "Multi-dSprites", "clevr": "CLEVR"}
SOURCES = {
    "none": "no SAID layer",
    "base": "its base alone",
    "codec": "the codec's own search and choice",
    "said": "SAID, the paper's rule",
    "spair": "SPAIR",
    "space": "SPACE",
    "truth": "true boxes",
    "random": "random, as many and as large",
}


def lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    told = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(told + ["| " + " | ".join(row) + " |" for row in rows])


def seeds(runs: Sequence[dict]) -> str:
    return str(len(runs)) if len(runs) > 1 else "–"


def detection(cases: dict[str, tuple[str, str, str]]) -> str:
    head = (
        "",
        "AP 0.1:0.1:0.9",
        "paper",
        "AP 0.5:0.05:0.95",
        "count error",
        "paper",
        "exact counts",
        "seeds",
    )
    rows = []
    for case, (name, precision, error) in cases.items():
        runs = load("detection", case)
        if not runs:
            continue
        cells = [spread(runs, key) for key in ("ap_paper", "ap_common", "count_error", "exact_counts")]
        rows.append((name, cells[0], precision, cells[1], cells[2], error, cells[3], seeds(runs)))
    return lines(head, rows)


def curve() -> str:
    rows = []
    steps = methods.STEPS["said"]
    for n in (steps // 4, steps // 2, steps, 2 * steps):
        runs = load("detection", "said") if n == steps else load("curve", f"said-{n}")
        if not runs:
            continue
        images = f"{n * methods.SAID_BATCH:,}"
        figures = (spread(runs, key) for key in ("ap_paper", "ap_common", "count_error"))
        rows.append((f"{n:,}", images, *figures))
    return lines(("steps", "images", "AP 0.1:0.1:0.9", "AP 0.5:0.05:0.95", "count error"), rows)


def sums(head: str) -> str:
    rows = []
    for case, (name, fixed, tuned) in SUMS.items():
        row, counts = [name], []
        for kind, paper in (("fixed", fixed), ("tuned", tuned)):
            runs = load("sum", f"{case}-{kind}-{head}")
            counts += [len(runs)] if runs else []
            percent = [{key: 100 * run[key] for key in ("train", "test")} for run in runs]
            told = " / ".join(spread(percent, key, "{:.1f}") for key in ("train", "test"))
            row.append(f"{told} %" if runs else "–")
            row += [paper] if head == "number" else []
        rows.append([*row, " / ".join(str(n) for n in sorted(set(counts)))] if counts else [])
    beside = ["paper"] if head == "number" else []
    names = ["boxes", "encoder fixed, train / test", *beside, "encoder tuned, train / test", *beside, "seeds"]
    return lines(names, [row for row in rows if row])


def formula() -> str:
    rows = []
    for name, title in DATASETS.items():
        runs = load("formula", name)
        rows.append((title, *(spread(runs, key, "{:,.0f}") for key in ("formula", "gaussian", "context"))))
    return lines(
        ("bits an image", "KL + N log σ√(2πe)", "file, Gaussian residual", "file, residual network"), rows
    )


def boxes() -> str:
    rows = []
    for source, title in SOURCES.items():
        row = [title]
        for name in DATASETS:
            for coder in ("context", "gaussian"):
                runs = [run for run in load("boxes", f"{name}-{coder}") if source in run]
                number = spread(runs, f"{source} boxes", "{:.1f}")
                row.append(f"{spread(runs, source, '{:,.0f}')} ({number})" if runs else "–")
        rows.append(row)
    head = ["bits (boxes) an image"]
    for title in DATASETS.values():
        head += [title, f"{title}, Gaussian"]
    return lines(head, rows)


TABLES: dict[str, Callable[[], str]] = {
    "detection": lambda: detection(DETECTION),
    "ablation": lambda: detection(ABLATION),
    "curve": curve,
    "numbers": lambda: sums("number"),
    "digits": lambda: sums("digits"),
    "formula": formula,
    "boxes": boxes,
}


def main() -> None:
    fill(PAGE, {name: table() for name, table in TABLES.items()})


if __name__ == "__main__":
    main()
