"""Figures of a toy profile's real results: what they show, their sizes, the tables behind them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toy
from PIL import Image

from d3ke_lib.experiment.report import figures, method_names, plots
from d3ke_lib.experiment.run import artifacts


def test_every_figure_is_there_with_its_table(toy_profile: Path) -> None:
    for name in figures.FIGURES:
        picture, table = toy_profile / f"figures/{name}.png", toy_profile / f"figures/{name}.csv"
        assert picture.stat().st_size <= plots.LARGEST_PNG, name
        assert Image.open(picture).size[0] > 300
        assert len(pd.read_csv(table)) > 0
    captions = artifacts.read_json(toy_profile / "figures/captions.json")["captions"]
    assert list(captions) == sorted(figures.FIGURES)
    assert set(figures.CAPTIONS) == set(figures.FIGURES)


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
    assert method_names.setting_of("frame/resnext50_32x4d.2") == "frame/resnext50_32x4d"
    assert method_names.setting_of("mean pose") == "mean pose"


def test_a_method_looks_the_same_in_every_figure() -> None:
    few = plots.style_of(["ResNeXt-101", "ResNeXt-101 + transformer"])
    many = plots.style_of(
        ["mean pose", "ResNeXt-50", "ResNeXt-101", *few, "ResNeXt-101 + tcn", "ResNeXt-152"]
    )
    assert all(many[name] == look for name, look in few.items())
    assert len({look["color"] for look in many.values()}) == len(many)
    seeds = plots.style_of(["ResNeXt-50, seed 0", "ResNeXt-50, seed 1"])
    assert seeds["ResNeXt-50, seed 1"] == many["ResNeXt-50"]


def test_a_large_picture_is_made_small_enough(tmp_path: Path) -> None:
    with plots.figure(4.0, 4.0, "noise") as drawn:
        axes = drawn.add_subplot()
        axes.imshow(np.random.default_rng(0).uniform(size=(300, 300, 3)))
    plots.save(drawn, pd.DataFrame({"a": [1]}), tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size <= plots.LARGEST_PNG
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noise.csv", "noise.png"]
