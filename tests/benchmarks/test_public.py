"""benchmarks/public.py on tiny images."""

from __future__ import annotations

import io
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import public


def pictures(folder: Path) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    found = [rng.integers(0, 40, (12, 20 + i, 3)).astype(np.uint8) for i in range(2)]
    for i, pixels in enumerate(found):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return found


def listed(folder: Path, monkeypatch: pytest.MonkeyPatch, known: list[np.ndarray]) -> None:
    """Let the list hold these pictures as the set kodak."""
    rows = [f"{public.digest(pixels)} kodak {i}.png" for i, pixels in enumerate(known)]
    (folder / "hashes").write_text("\n".join(rows))
    monkeypatch.setattr(public, "HASHES", folder / "hashes")


def test_the_list_has_every_picture_once() -> None:
    assert len(public.wanted_hashes("kodak")) == 24
    assert len(public.wanted_hashes("cid22")) == 25
    assert len(public.wanted_hashes("clic")) == 24


def test_a_digest_is_of_shape_and_samples() -> None:
    ones = np.ones((2, 3, 3), np.uint8)
    assert public.digest(ones) == public.digest(np.asfortranarray(ones))
    assert public.digest(ones) != public.digest(ones.reshape(3, 2, 3))


def test_near_lossless_errors_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imagecodecs")
    _, second = pictures(tmp_path)
    rows = [row.split(" | ") for row in public.near([second], 1)][2:]
    assert [row[0] for row in rows] == [f"| {n}" for n in (0, *public.MAX_ERRORS)]
    bits = [float(row[2]) for row in rows]
    assert bits == sorted(bits, reverse=True)
    assert all(
        float(row[3].rstrip(" |")) == pytest.approx(own / float(row[1]), abs=0.01)
        for row, own in zip(rows, bits, strict=True)
    )
    monkeypatch.setattr(public.codec, "decode", lambda data, threads: second + np.uint8(3))
    with pytest.raises(AssertionError, match="more than was allowed"):
        list(public.near([second], 1))


def test_larger_networks_take_fewer_bits() -> None:
    scene = np.asarray(Image.open(Path(__file__).parents[2] / "examples" / "scene.png").convert("RGB"))
    rows = [row.strip("| ").split(" | ") for row in public.curve([scene[:192, :192]], 2)][2:]
    assert [row[0] for row in rows] == list(public.NETWORKS)
    assert public.multiply_adds(public.models.find("photo")) == 12192
    for smaller, larger in pairwise(rows):
        assert int(smaller[1].replace(",", "")) < int(larger[1].replace(",", ""))
    for row in rows:
        assert float(row[2]) > float(row[3]) > float(row[4])


def test_maps_are_left_out_and_come_back() -> None:
    scene, stream = Image.open(Path(__file__).parents[2] / "examples" / "scene.png"), io.BytesIO()
    scene.convert("RGB").crop((0, 0, 192, 192)).save(stream, "JPEG", quality=90)
    mapped = np.asarray(Image.open(stream).convert("RGB"))
    before = public.preimage.recognised
    rows = [row.strip("| ").split(" | ") for row in public.without_maps([mapped], 2)][2:]
    assert public.preimage.recognised is before
    size = len(public.codec.encode(mapped))
    assert [row[0] for row in rows] == ["effort normal", "effort best"]
    assert all(float(row[1]) > 1.05 * 8 * size / mapped.size for row in rows)


def test_only_listed_pictures_are_measured_and_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("imagecodecs")
    first, second = pictures(tmp_path)
    listed(tmp_path, monkeypatch, [second])
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- public -->\n<!-- end -->\n<!-- kodak -->\n<!-- end -->\n<!-- maps -->\n<!-- end -->\n"
    )
    public.main(["--kodak", str(tmp_path), "--threads", "1", "--page", str(page)])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| saidcodec, effort")]
    assert [row.split(" | ")[0] for row in rows] == [
        f"| saidcodec, effort {e}" for e in public.arguments.EFFORTS
    ]
    assert "codec (1 images, 1 threads)" in page.read_text()
    listed(tmp_path, monkeypatch, [first, second, second[:-1]])
    with pytest.raises(SystemExit, match=r"lacks 1 of 3 pictures: 2\.png"):
        public.main(["--kodak", str(tmp_path)])
