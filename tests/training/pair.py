"""One of two processes that torchrun starts: trains both networks a little and keeps what it ends with."""

import sys
from pathlib import Path

import torch
from test_residual import SHAPE, smooth

from saidcodec.training import datasets, residual, said, sources, team


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with team.started() as ours:
        tiles = smooth(16, 24, 0)
        wanted = residual.Settings(steps=60, tiles=8, group=64, qat_from=0.7, log_every=20, shape=SHAPE)
        lines: list[str] = []
        network = residual.train(
            wanted, lambda rng: iter(lambda: tiles, None), tiles, folder / "r.pt", lines.append, team=ours
        )
        images = datasets.multi_dsprites(24, seed=0).images
        model = said.train(
            said.Settings(steps=8, batch=8, iterations=2, rate=2e-3, device=ours.device("cpu")),
            lambda rng: sources.endless(images, 8, False, rng),
            folder / "s.pt",
            lines.append,
            log_every=4,
            team=ours,
        )
        state = {"residual": network.state_dict(), "said": model.state_dict()}
        torch.save(state, folder / f"{ours.rank}-{ours.size}.end")
        (folder / f"{ours.rank}.log").write_text("\n".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
