"""The README says what the recorded run says, and a stale one is noticed."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from test_report import script

from d3ke_lib.body import Pose, Skeleton, load_osim, write_trc
from d3ke_lib.body.opensim.motion_files import Trajectories
from d3ke_lib.body.spec import BODY_FILE
from d3ke_lib.experiment.evaluation.recorded import reduce_results
from d3ke_lib.experiment.report.findings import answer
from d3ke_lib.experiment.run.artifacts import REPOSITORY, D3keError, read_json, write_json

MARK = "<!-- {0}:begin -->\n<!-- {0}:end -->\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A repository with unfilled documents."""
    for folder in ("data", "docs"):
        (tmp_path / folder).mkdir()
    for name in ("paper_results.json", "published.json", "deviations.json"):
        shutil.copy(REPOSITORY / "data" / name, tmp_path / "data")
    (tmp_path / "docs/deviations.md").write_text(f"# Deviations\n\n{MARK.format('deviations')}")
    for name, blocks in script("build_readme")._BLOCKS.items():
        marks = "".join(MARK.format(block) for block in blocks)
        (tmp_path / name).write_text(f"# Title\n\n{marks}\nThe end.\n")
    return tmp_path


def test_this_repositorys_readme_is_fresh() -> None:
    assert script("build_readme").check(REPOSITORY) == []


def test_nothing_recorded_leaves_the_blocks_empty(home: Path) -> None:
    before = (home / "README.md").read_text()
    assert script("build_readme").fill(home) == []
    assert (home / "README.md").read_text() == before
    assert script("build_readme").check(home) == []


def test_the_recorded_run_is_shown_and_a_changed_one_noticed(home: Path, toy_profile: Path) -> None:
    readme = script("build_readme")
    readme.record(toy_profile, home)
    assert "stale" in " ".join(readme.check(home))
    readme.fill(home)
    assert readme.check(home) == []
    text, results = (home / "README.md").read_text(), read_json(home / "data/results/demo.json")
    assert " ".join(answer(results)[1:]) in text
    assert f"**Answer: {answer(results)[0][0].lower()}{answer(results)[0][1:]}**" in text
    assert "figures/skeletons.png" in text
    assert "figures/front.png" in text
    assert "](../figures/yaw.png)" in (home / "docs/metrics.md").read_text()
    assert "9.6°; 5.3°; 4.1°" in (home / "docs/reproducibility.md").read_text()
    assert text.startswith("# Title")
    assert text.endswith("The end.\n")
    results["comparisons"][0]["metrics"]["angle_mae_deg"]["mean"] += 0.5
    write_json(home / "data/results/demo.json", results)
    said = " ".join(readme.check(home))
    assert "'answer' is stale" in said
    assert "paired.csv: expected a mean" in said
    (home / "figures/paired.png").unlink()
    assert "paired.png is missing" in " ".join(readme.check(home))


def test_the_study_is_shown_where_it_is_recorded(home: Path, toy_profile: Path) -> None:
    readme = script("build_readme")
    readme.record(toy_profile, home)
    results = read_json(home / "data/results/demo.json")
    assert readme.find_recorded(home).name == "demo.json"
    results["profile"]["name"] = "study"
    results["comparisons"][0]["metrics"]["angle_mae_deg"]["mean"] = -1.25
    write_json(home / "data/results/study.json", results)
    assert readme.find_recorded(home).name == "study.json"
    readme.fill(home)
    text = (home / "README.md").read_text()
    assert "1.25° lower than that of ResNeXt-50" in text
    assert "`make study`" in text


def test_recorded_results_say_the_same_in_a_third_of_the_size(toy_profile: Path, home: Path) -> None:
    whole = read_json(toy_profile / "results.json")
    short = reduce_results(whole)
    assert len(json.dumps(short)) < 0.4 * len(json.dumps(whole))
    readme = script("build_readme")
    readme.record(toy_profile, home)
    assert readme.blocks(home, whole) == readme.blocks(home, short)


def test_a_readme_without_a_block_is_refused(home: Path) -> None:
    (home / "README.md").write_text("nothing here")
    with pytest.raises(D3keError, match="expected one block 'answer', found 0"):
        script("build_readme").fill(home)


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 180
        links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http")]
        assert not [link for link in links if not (path.parent / link).exists()]


def test_the_readme_s_examples_print_what_it_says(tmp_path: Path, monkeypatch, capsys) -> None:
    """A .trc of a bending knee stands for the walk."""
    examples = re.findall(
        r"```python\n(.+?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.S
    )
    shutil.copytree(REPOSITORY / "data/body", tmp_path / "data/body")
    monkeypatch.chdir(tmp_path)
    write_walk(tmp_path / "walk.trc")
    for example in (each for each in examples if "d3ke_lib.body" in each):
        exec(compile(example, "README.md", "exec"), {})
        said = re.findall(r"^# (.+)$", example, re.M)[-1]
        printed = capsys.readouterr().out.strip()
        assert printed
        assert said.startswith(printed)


def write_walk(path: Path) -> None:
    skeleton = Skeleton(load_osim(BODY_FILE)).double()
    time = torch.linspace(0, 1, 20, dtype=torch.float64)
    angles = skeleton.rest().angles.repeat(20, 1)
    bend = torch.deg2rad(-30 + 30 * torch.sin(2 * torch.pi * time))
    angles[:, skeleton.coordinates.index("knee_angle_r")] = bend
    markers = skeleton(Pose(angles, skeleton.rest().scales)).markers
    write_trc(path, Trajectories(time.numpy(), skeleton.markers, markers.numpy()))


def test_every_dependency_has_its_reason() -> None:
    wanted = (REPOSITORY / "requirements.in").read_text(encoding="utf-8").splitlines()
    names = {re.split(r"[=<>\[ ]", line)[0] for line in wanted if line and not line.startswith("#")}
    table = re.findall(r"^\| (.+?) \| .+ \|$", (REPOSITORY / "docs/dependencies.md").read_text(), re.M)
    assert names == {name for row in table[1:] for name in row.split(", ")} - {"---"}


def test_verdicts_have_no_other_words() -> None:
    rows = script("build_readme").claims_block(REPOSITORY).splitlines()[2:-2]
    verdicts = [row.split(" | ")[1] for row in rows]
    words = ("supported", "contradicted", "undecided", "not testable here")
    assert verdicts
    assert all(verdict.startswith(words) for verdict in verdicts)
