"""Cut-outs of a file in training: asked for by name, told in the run."""

import dataclasses

import pytest

from d3ke_lib.data.augment import AugmentConfig
from d3ke_lib.data.augment_pixels import OccluderConfig
from d3ke_lib.experiment import pipeline
from d3ke_lib.experiment.run import artifacts, identity
from d3ke_lib.experiment.run.artifacts import D3keError
from d3ke_lib.experiment.run.config import profile


def test_a_missing_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("D3KE_OCCLUDERS", str(tmp_path / "bank.safetensors"))
    with pytest.raises(D3keError, match=r"bank.safetensors: expected cut-outs \(make occluders\)"):
        pipeline.frame("bmlmovi", "resnext50_32x4d")


def test_a_profile_without_occluders_says_so(monkeypatch, tmp_path):
    bank = tmp_path / "bank.safetensors"
    bank.write_bytes(b"")
    monkeypatch.setenv("D3KE_OCCLUDERS", str(bank))
    with pytest.raises(D3keError, match="profile demo has no occluders"):
        pipeline.frame("demo", "resnext50_32x4d")


def test_a_run_is_told_by_the_files_content(tmp_path):
    bank = tmp_path / "bank.safetensors"
    bank.write_bytes(b"one")
    config = profile("bmlmovi").frame
    assert identity.occluders_hash(config) == {}
    augment = AugmentConfig(occluder=OccluderConfig(objects=str(bank)))
    found = identity.occluders_hash(dataclasses.replace(config, augment=augment))
    assert found == {"occluders": artifacts.sha256(bank)}
