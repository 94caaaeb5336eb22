"""Labels made from the synthetic BMLmovi fit their markers as well as OpenSim's tool does."""

import pytest

from d3ke_lib.data import bmlmovi
from d3ke_lib.data.bmlmovi import BmlmoviConfig
from d3ke_lib.experiment.artifacts import D3keError
from d3ke_lib.experiment.label_check import beside_opensim, stored


@pytest.fixture(scope="module")
def made(bmlmovi_raw, tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    bmlmovi.make(BmlmoviConfig(train=(1,), validation=(), test=(), cameras=("PG1",), px=64), bmlmovi_raw, out)
    return out


def test_labels_fit_as_well_as_opensim(made):
    pytest.importorskip("opensim")
    found = beside_opensim(stored(made, 1), 5)
    assert found["frames"] == 5
    assert found["ours_mm"] <= 1.1 * found["opensim_mm"] + 0.1
    assert found["apart_median_deg"] < 1.0


def test_a_subject_without_labels_is_named(made):
    with pytest.raises(D3keError, match=r"subject_009.npz: expected a subject's labels, found none"):
        stored(made, 9)
