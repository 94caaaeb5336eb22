"""Figures of a toy profile's real results: what they show, their sizes, the tables behind them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toy
from PIL import Image

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.experiment.report import body_plots, drawing, figures, image_grids, method_names, plots
from d3ke_lib.experiment.run import artifacts


def test_every_figure_is_there_with_its_table(toy_profile: Path) -> None:
    for name in figures.FIGURES:
        image, table = toy_profile / f"figures/{name}.png", toy_profile / f"figures/{name}.csv"
        assert image.stat().st_size <= drawing.LARGEST_PNG, name
        assert Image.open(image).size[0] > 300
        assert len(pd.read_csv(table)) > 0
    said = artifacts.read_json(toy_profile / "figures/captions.json")
    assert list(said["captions"]) == list(said["least_width_px"]) == sorted(figures.FIGURES)
    assert all(said["captions"].values())


def test_the_first_figures_are_legible_on_a_phone(toy_profile: Path) -> None:
    """Text of 9 px or more in 350 px, what a screen of 390 px leaves; the others may be scrolled."""
    widths = artifacts.read_json(toy_profile / "figures/captions.json")["least_width_px"]
    for name in ("paired", "paired_refined", "groups", "subjects", "cost", "training", "training_temporal"):
        assert widths[name] <= 350, name
    assert max(widths.values()) < 1000


def test_smaller_text_needs_more_width() -> None:
    with drawing.figure(5.0, 2.0, "a note") as drawn:
        axes = drawn.add_subplot()
    assert drawing.least_width_px(drawn) == round(5 * 72 * 9 / drawing.TEXT)
    axes.text(0, 0, "small", fontsize=5)
    assert drawing.least_width_px(drawn) == 5 * 72 * 9 / 5


def test_title_legend_and_note_do_not_overlap(toy_profile: Path) -> None:
    """Of the chart whose title lay over its legend, and of the one whose note was cut off."""
    runs = [f"ResNeXt-{depth} + transformer, seed {seed}" for depth in (50, 101) for seed in (0, 1)]
    rows = [(run, x, quantity, x) for run in runs for x in (0.0, 1.0) for quantity in ("loss", "angle")]
    table = pd.DataFrame(rows, columns=["run", "x", "quantity", "value"])
    note = "synthetic data · profile demo: a test of the path · 8 test subjects · AMD EPYC with a long name"
    drawn = plots.training_curves(table, {"loss": "loss", "angle": "angle"}, "x", note, "Training")
    drawn.draw_without_rendering()
    legend, top = drawn.legends[0].get_window_extent(), drawn.axes[0].get_window_extent()
    assert legend.y0 >= top.y1
    assert legend.y1 <= drawn.bbox.y1 + 1
    assert drawn.get_suptitle() == ""
    assert drawn._supxlabel.get_window_extent().x1 <= drawn.bbox.x1


def test_captions_are_made_from_the_data() -> None:
    for synthetic in (True, False):
        said = [figures.caption(name, {"synthetic": synthetic}) for name in figures.FIGURES]
        assert any("drawn at random" in each for each in said) == synthetic


def test_left_right_and_where_a_body_faces() -> None:
    skeleton = default_skeleton()
    sides = {name: image_grids.side_of(name, skeleton) for name in skeleton.joints}
    assert (sides["knee_l"], sides["knee_r"], sides["elbow"], sides["elbow_l"]) == (
        "left",
        "right",
        "right",
        "left",
    )
    assert sides["ground_pelvis"] == sides["C7_skull"] == "middle"
    assert list(sides.values()).count("left") == list(sides.values()).count("right")
    standing = body_plots.pose_of(skeleton)
    forward = image_grids.facing(skeleton, skeleton(standing).joints)
    assert forward[0] > 0.9  # x is forward in body axes


def test_a_shown_figure_is_saved_and_described(tmp_path: Path) -> None:
    table = pd.DataFrame({"subject": [1, 2], "method": "a", "mean": [1.0, 2.0]})
    drawn = plots.error_by_subject(table, "°", "note", "Errors of two subjects")
    shown = plots.show(drawn, table, tmp_path / "errors.png")
    assert (tmp_path / "errors.csv").is_file()
    data, about = shown._repr_mimebundle_()
    assert data["image/png"]
    assert about["image/png"]["alt"] == "Errors of two subjects"


def test_tables_repeat_the_results(toy_profile: Path) -> None:
    results = artifacts.read_json(toy_profile / "results.json")
    comparison = results["comparisons"][0]
    table = pd.read_csv(toy_profile / "figures/paired.csv")
    assert table.difference.mean() == pytest.approx(comparison["metrics"]["angle_mae_deg"]["mean"], rel=1e-4)
    groups = pd.read_csv(toy_profile / "figures/groups.csv")
    knee = groups[(groups.group == "knee") & (groups.method == "ResNeXt-50")]["mean"].item()
    shown = results["settings"]["frame/resnext50_32x4d"]["summary"]["angle_mae_deg/knee"]["mean"]
    assert knee == pytest.approx(shown, rel=1e-4)
    every = pd.read_csv(toy_profile / "figures/coordinates.csv")
    own = every[every.method == "ResNeXt-101 + transformer"]["mean"].mean()
    setting = results["settings"]["temporal/transformer.resnext101_32x8d"]
    assert own == pytest.approx(setting["summary"]["angle_mae_deg"]["mean"], rel=1e-3)


def test_yaw_shares_add_up_in_every_camera(toy_profile: Path) -> None:
    table = pd.read_csv(toy_profile / "figures/yaw.csv")
    assert set(table.method) >= {"ResNeXt-50", "ResNeXt-101 + transformer"}
    totals = table.groupby(["camera", "method"]).share.sum()
    assert totals.to_numpy() == pytest.approx(100, rel=1e-4)
    assert (table.yaw.min(), table.yaw.max()) == (-172.5, 172.5)


def test_curves_hold_truth_and_every_method(toy_profile: Path) -> None:
    table = pd.read_csv(toy_profile / "figures/angle_curves.csv")
    assert set(table.coordinate) == set(figures.CURVES)
    assert list(table.method.unique())[:2] == ["truth", "ResNeXt-50"]
    assert (table.groupby(["coordinate", "method"]).size() == toy.FRAMES).all()


def test_a_second_drawing_does_nothing(toy_profile: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (toy_profile / "figures").iterdir()}
    assert {path.stem for path in figures.draw(toy_profile)} == set(figures.FIGURES)
    assert {path: path.stat().st_mtime_ns for path in (toy_profile / "figures").iterdir()} == before


def test_labels() -> None:
    assert method_names.label("mean pose") == "mean pose"
    assert method_names.label("frame/resnext50_32x4d") == "ResNeXt-50"
    assert method_names.label("temporal/tcn.resnext101_64x4d") == "ResNeXt-101 64×4d + tcn"
    assert method_names.label("frame/resnext50_32x4d@equal_compute") == "ResNeXt-50, equal compute"
    assert method_names.label("temporal/lstm.resnet50@subjects_12") == "ResNet-50, 12 subjects + lstm"
    assert method_names.label("frame/resnext50_32x8d@points") == "multi-step, ResNeXt-50 32×8d"
    assert method_names.setting_of("frame/resnext50_32x4d.2") == "frame/resnext50_32x4d"
    assert method_names.setting_of("mean pose") == "mean pose"


def test_a_method_looks_the_same_in_every_figure() -> None:
    few = drawing.style_of(["ResNeXt-101", "ResNeXt-101 + transformer"])
    many = drawing.style_of(
        ["mean pose", "ResNeXt-50", "ResNeXt-101", *few, "ResNeXt-101 + tcn", "ResNeXt-152"]
    )
    assert all(many[name] == look for name, look in few.items())
    assert len({look["color"] for look in many.values()}) == len(many)
    seeds = drawing.style_of(["ResNeXt-50, seed 0", "ResNeXt-50, seed 1"])
    assert seeds["ResNeXt-50, seed 1"] == many["ResNeXt-50"]


def test_a_large_image_is_made_small_enough(tmp_path: Path) -> None:
    with drawing.figure(4.0, 4.0, "noise") as drawn:
        axes = drawn.add_subplot()
        axes.imshow(np.random.default_rng(0).uniform(size=(300, 300, 3)))
    plots.save(drawn, pd.DataFrame({"a": [1]}), tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size <= drawing.LARGEST_PNG
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noise.csv", "noise.png"]
