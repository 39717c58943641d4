from __future__ import annotations

import io
import socket

import matplotlib.image
import nibabel
import numpy as np
import pytest

from neuroling.report import brain
from neuroling.report.brain import glass_brain, stat_map


def image(value: float = 0.3, *, low: float = 0.0) -> nibabel.Nifti1Image:
    values = np.full((20, 24, 20), low, dtype=np.float32)
    values[4:8, 8:14, 8:12] = value
    values[:2] = np.nan
    affine = np.diag([8.0, 8, 8, 1])
    affine[:3, 3] = -76, -110, -68
    return nibabel.Nifti1Image(values, affine)


def pixels(png: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(png))[..., :3]


def blue(png: bytes) -> float:
    picture = pixels(png)
    return float(((picture[..., 2] - picture[..., 0]) > 0.15).mean())


@pytest.mark.parametrize("draw", [glass_brain, stat_map])
def test_a_map_is_drawn_without_the_network(draw: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert pixels(draw({"MiniLM": image()}, unit="r", threshold=0.1)).size  # type: ignore[operator]


def test_negative_scores_are_left_blank() -> None:
    without = glass_brain({"m": image()}, unit="r", threshold=0.1, limit=0.4)
    assert glass_brain({"m": image(low=-0.3)}, unit="r", threshold=0.1, limit=0.4) == without


def test_differences_show_both_signs() -> None:
    assert blue(glass_brain({"m": image(-0.3)}, unit="r", threshold=0.1, kind="difference")) > 0.01
    assert blue(glass_brain({"m": image(0.3)}, unit="r", threshold=0.1, kind="difference")) < 0.01


def test_panels_share_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("nilearn.plotting.plot_glass_brain", lambda *_, **style: seen.append(style))
    glass_brain({"weak": image(0.1), "strong": image(0.5)}, unit="r", threshold=0.05)
    assert [(style["vmin"], style["vmax"]) for style in seen] == [(0.0, 0.5)] * 2


def test_threshold_and_unit_are_written_on_the_picture() -> None:
    texts = [
        brain._scale({"m": image()}, "correlation r", 0.1, None, kind, shown).shown
        for kind, shown in (("score", None), ("difference", None), ("score", "p < 0.05, family-wise"))
    ]
    assert texts == ["shown: correlation r > 0.1", "shown: |correlation r| > 0.1", "p < 0.05, family-wise"]


def test_the_synthetic_stamp_is_in_the_pixels() -> None:
    plain = pixels(stat_map({"m": image()}, unit="r", threshold=0.1))
    stamped = pixels(stat_map({"m": image()}, unit="r", threshold=0.1, synthetic=True))
    assert (plain != stamped).any(-1).mean() > 0.005


def test_the_maps_are_left_as_they_were() -> None:
    given = image()
    glass_brain({"m": given}, unit="r", threshold=0.1)
    np.testing.assert_array_equal(given.get_fdata(), image().get_fdata())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": {}}, "images: got none"),
        ({"kind": "p"}, "kind: got 'p'"),
        ({"threshold": 0.5}, "threshold: got 0.5 with colours up to 0.3"),
        ({"threshold": -0.1}, "threshold: got -0.1"),
        ({"images": {"m": nibabel.Nifti1Image(np.full((2, 2, 2), np.nan), np.eye(4))}}, "no voxel holds a finite"),
        ({"images": {"m": nibabel.Nifti1Image(np.ones((2, 2, 2, 3)), np.eye(4))}}, "expected one volume"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(options: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"images": {"m": image()}, "unit": "r", "threshold": 0.1}
    with pytest.raises(ValueError, match=message):
        glass_brain(**(given | options))  # type: ignore[arg-type]


def test_a_map_without_a_voxel_to_show_is_drawn_empty():
    values = np.full((20, 24, 20), 0.01, dtype=np.float32)
    affine = np.diag([8.0, 8, 8, 1])
    affine[:3, 3] = -76, -110, -68
    picture = glass_brain({"nothing": nibabel.Nifti1Image(values, affine)}, unit="r", threshold=0.5, limit=1.0)
    assert picture.startswith(b"\x89PNG")


def partial(low_mm: float, n_slices: int = 10, shift: float = -60.0) -> nibabel.Nifti1Image:
    affine = np.diag([3.0, 3, 3, 1])
    affine[:3, 3] = shift, -60, low_mm
    return nibabel.Nifti1Image(np.full((12, 12, n_slices), 0.3, np.float32), affine)


def test_slices_lie_where_the_maps_have_values(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("nilearn.plotting.plot_stat_map", lambda *_, **style: seen.append(style["cut_coords"]))
    stat_map({"one": partial(0.0), "another": partial(9.0)}, unit="r", threshold=0.1)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert len(seen[0]) == 7
    assert -1.5 <= min(seen[0]) <= max(seen[0]) <= 37.5


def test_a_map_of_the_whole_brain_keeps_the_usual_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("nilearn.plotting.plot_stat_map", lambda *_, **style: seen.append(style["cut_coords"]))
    stat_map({"m": partial(-60.0, 45)}, unit="r", threshold=0.1)
    assert seen == [list(map(float, brain.AXIAL_CUTS))]


def test_a_map_of_the_right_hemisphere_leaves_the_left_view_empty() -> None:
    picture = pixels(glass_brain({"m": partial(0.0, shift=20.0)}, unit="r", threshold=0.1, limit=0.5))
    coloured = (picture[..., 0] - picture[..., 2]) > 0.3
    left_view, right_view = coloured[:330, : picture.shape[1] // 4], coloured[:330, picture.shape[1] // 2 :]
    assert left_view.sum() == 0
    assert right_view.sum() > 100


@pytest.mark.parametrize("cuts", [(), (np.nan,)])
def test_slices_nowhere_are_refused(cuts: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="cuts: got"):
        stat_map({"m": image()}, unit="r", threshold=0.1, cuts=cuts)
