"""Labels made from the synthetic BMLmovi fit their markers as well as OpenSim's tool does."""

import pytest
from check_labels import compare_with_opensim, stored

from d3ke_lib.body.kinematics import default_skeleton
from d3ke_lib.data.bmlmovi import convert as bmlmovi
from d3ke_lib.data.bmlmovi import subject as bmlmovi_subject
from d3ke_lib.data.bmlmovi.config import describe
from d3ke_lib.data.bmlmovi.convert import BmlmoviConfig
from d3ke_lib.data.records import RecordError
from d3ke_lib.data.synthetic import generate as synthetic
from d3ke_lib.data.synthetic.generate import DataConfig
from d3ke_lib.experiment.run.artifacts import D3keError


@pytest.fixture(scope="module")
def made(bmlmovi_raw, tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    bmlmovi.make(BmlmoviConfig(train=(1,), validation=(), test=(), cameras=("PG1",), px=64), bmlmovi_raw, out)
    return out


def test_labels_fit_as_well_as_opensim(made):
    pytest.importorskip("opensim")
    found = compare_with_opensim(stored(made, 1), 5)
    assert found["frames"] == 5
    assert found["ours_mm"] <= 1.1 * found["opensim_mm"] + 0.1
    assert found["apart_median_deg"] < 1.0


def test_a_subject_without_labels_is_named(made):
    with pytest.raises(D3keError, match=r"subject_009.npz: expected a subject's labels, found none"):
        stored(made, 9)


def test_labels_on_the_released_body(shared, bmlmovi_raw, tmp_path, monkeypatch):
    """BODY= of make: the same names, another file; its records are not ours."""
    config = BmlmoviConfig(train=(1,), validation=(), test=(), cameras=("PG1",), px=64)
    ours = describe(config)["sources"]
    released = shared / "assets/d3ke/full_body_wo_hands.osim"
    monkeypatch.setenv("D3KE_BODY", str(released))
    bmlmovi_subject.load_body.cache_clear()
    try:
        assert default_skeleton().body.source == released.name
        assert describe(config)["sources"].keys() - ours.keys() == {released.name}
        bmlmovi.make(config, bmlmovi_raw, tmp_path)
        found = compare_with_opensim(stored(tmp_path, 1), 5)
    finally:
        bmlmovi_subject.load_body.cache_clear()
    assert found["ours_mm"] <= 1.1 * found["opensim_mm"] + 0.1


def test_the_synthetic_set_has_our_own_body(tmp_path, monkeypatch):
    monkeypatch.setenv("D3KE_BODY", str(tmp_path / "other.osim"))
    with pytest.raises(RecordError, match=r"other.osim: synthetic images are of our own body"):
        synthetic.make(DataConfig(train=1, validation=1, test=1), tmp_path / "out")
