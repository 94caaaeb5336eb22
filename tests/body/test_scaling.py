"""Scale factors, masses and the scaled file against OpenSim's own ScaleTool and Model.scale."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from d3ke_lib.body.kinematics import Skeleton
from d3ke_lib.body.opensim.inertia import scaled_segments
from d3ke_lib.body.opensim.motion_files import Trajectories, write_trc
from d3ke_lib.body.opensim.read import OsimError, load_osim
from d3ke_lib.body.opensim.write import write_osim
from d3ke_lib.body.pose import Pose
from d3ke_lib.body.scaling.factors import D3KE_MEASUREMENTS, Measurement, SkippedMeasurement, scale_factors
from d3ke_lib.body.spec import BODY_FILE

MODELS = ["d3ke_body", "full_body_wo_hands", "full_body"]


@pytest.fixture(params=MODELS)
def model_path(request):
    if request.param == "d3ke_body":
        return BODY_FILE
    return request.getfixturevalue("shared") / "assets" / "d3ke" / f"{request.param}.osim"


def static_trial(body, seed: int = 0) -> Trajectories:
    """A person of other proportions, standing still with a few mm of noise."""
    draws = np.random.default_rng(seed)
    skeleton = Skeleton(body).double()
    scales = skeleton.generic_scales * torch.from_numpy(draws.uniform(0.8, 1.2, (len(skeleton.bodies), 3)))
    angles = torch.zeros(len(skeleton.coordinates), dtype=torch.float64)
    still = skeleton(Pose(angles, scales)).markers.numpy()
    frames = still + 1e-3 * draws.standard_normal((5, *still.shape))
    return Trajectories(np.arange(5) / 60, skeleton.markers, frames)


def their_factors(path, trial, folder) -> dict[str, np.ndarray]:
    """Absolute factors of bodies with a mesh after OpenSim's ScaleTool (its scale file has six digits)."""
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Off")
    write_trc(folder / "static.trc", trial)
    tool = opensim.ModelScaler()
    measurements = opensim.MeasurementSet()
    for m in D3KE_MEASUREMENTS:
        theirs = opensim.Measurement()
        theirs.setName(m.name)
        theirs.setApply(True)
        for pair in m.pairs:
            theirs.getMarkerPairSet().cloneAndAppend(opensim.MarkerPair(*pair))
        for name, axes in zip(m.bodies, m.axes, strict=True):
            scale = opensim.BodyScale()
            scale.setName(name)
            names = opensim.ArrayStr("", 0)
            for axis in axes:
                names.append("XYZ"[axis])
            scale.setAxisNames(names)
            theirs.getBodyScaleSet().cloneAndAppend(scale)
        measurements.cloneAndAppend(theirs)
    tool.setMeasurementSet(measurements)
    order = opensim.ArrayStr("", 0)
    order.append("measurements")
    tool.setScalingOrder(order)
    tool.setMarkerFileName(str(folder / "static.trc"))
    span = opensim.ArrayDouble(0.0, 2)
    span.set(1, float(trial.time[-1]))
    tool.setTimeRange(span)
    model = opensim.Model(str(path))
    model.initSystem()
    tool.processModel(model, "", -1.0)
    bodies = (model.getBodySet().get(i) for i in range(model.getBodySet().getSize()))
    drawn = {b.getName(): b.get_attached_geometry(0).get_scale_factors() for b in bodies if _has_mesh(b)}
    return {name: np.array([factors.get(k) for k in range(3)]) for name, factors in drawn.items()}


def _has_mesh(body) -> bool:
    return body.getPropertyByName("attached_geometry").size() > 0


def test_factors_equal_the_scale_tools(model_path, tmp_path):
    body = load_osim(model_path)
    trial = static_trial(body)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedMeasurement)
        ours = scale_factors(body, trial)
    theirs = their_factors(model_path, trial, tmp_path)
    assert sum(np.any(f != 1) for f in ours.values()) > 40
    assert len(theirs) > 40
    own = {segment.name: np.array(segment.scale_factors) for segment in body.segments}
    for name, factors in theirs.items():
        np.testing.assert_allclose(ours[name] * own[name], factors, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(("mass", "keep"), [(None, True), (None, False), (81.5, False), (81.5, True)])
def test_scaled_model_equals_opensims(model_path, tmp_path, mass, keep):
    """Mass, mass centre, inertia of every body, joint frames and markers in a random pose."""
    opensim = pytest.importorskip("opensim")
    opensim.Logger.setLevelString("Off")
    body, draws = load_osim(model_path), np.random.default_rng(1)
    ratios = {s.name: draws.uniform(0.7, 1.3, 3) for s in body.segments}
    ratios[body.segments[1].name] = np.full(3, 1.1)
    model, scales = opensim.Model(str(model_path)), opensim.ScaleSet()
    for name, ratio in ratios.items():
        scale = opensim.Scale()
        scale.setSegmentName(name)
        scale.setScaleFactors(opensim.Vec3(*ratio))
        scale.setApply(True)
        scales.cloneAndAppend(scale)
    model.scale(model.initSystem(), scales, keep, -1.0 if mass is None else mass)
    own = {s.name: np.array(s.scale_factors) for s in body.segments}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_osim(tmp_path / "s.osim", model_path, {n: r * own[n] for n, r in ratios.items()}, mass, keep)
    written = opensim.Model(str(tmp_path / "s.osim"))
    for i in range(model.getBodySet().getSize()):
        theirs, ours = model.getBodySet().get(i), written.getBodySet().get(i)
        for a, b in zip(_inertial(ours), _inertial(theirs), strict=True):
            assert a == pytest.approx(b, rel=1e-9, abs=1e-12), theirs.getName()
    np.testing.assert_allclose(_points(written), _points(model), rtol=0, atol=1e-9)


def _inertial(body) -> list[float]:
    center, moments, products = (
        body.getMassCenter(),
        body.getInertia().getMoments(),
        body.getInertia().getProducts(),
    )
    return [body.getMass(), *(v.get(i) for v in (center, moments, products) for i in range(3))]


def _points(model) -> np.ndarray:
    """Markers and joint frames where every coordinate is at a third of its range (a slide: at 0.1 m)."""
    state, found = model.initSystem(), []
    for i in range(model.getCoordinateSet().getSize()):
        c = model.getCoordinateSet().get(i)
        c.setLocked(state, False)
        c.setValue(state, np.clip((2 * c.getRangeMin() + c.getRangeMax()) / 3, -1, 1), False)
    model.realizePosition(state)
    for i in range(model.getMarkerSet().getSize()):
        found.append(model.getMarkerSet().get(i).getLocationInGround(state))
    for i in range(model.getJointSet().getSize()):
        found.append(model.getJointSet().get(i).getChildFrame().getPositionInGround(state))
    return np.array([[v.get(k) for k in range(3)] for v in found])


def test_the_skeleton_at_the_factors_has_the_trials_lengths():
    body = load_osim(BODY_FILE)
    trial = static_trial(body)
    with pytest.warns(SkippedMeasurement, match="has no"):
        factors = scale_factors(body, trial)
    skeleton = Skeleton(body).double()
    scales = skeleton.generic_scales * torch.tensor(np.array([factors[n] for n in skeleton.bodies]))
    angles = torch.zeros(len(skeleton.coordinates), dtype=torch.float64)
    markers = dict(zip(skeleton.markers, skeleton(Pose(angles, scales)).markers.numpy(), strict=True))
    seen = dict(zip(trial.labels, trial.positions.mean(0), strict=True))
    for a, b in (("RASI", "LASI"),):
        wanted = np.linalg.norm(seen[a] - seen[b])
        assert np.linalg.norm(markers[a] - markers[b]) == pytest.approx(wanted, rel=0.05)


def test_manual_factors_come_last_and_gaps_are_left_out():
    body = load_osim(BODY_FILE)
    trial = static_trial(body)
    trial.positions[0, trial.labels.index("RASI")] = np.nan
    one = Measurement("width", (("RASI", "LASI"),), ("pelvis", "tail"), ((0, 2), (1,)))
    factors = scale_factors(body, trial, [one], manual={"femur_r": np.array([1.0, 2.0, 3.0])})
    assert factors["pelvis"][0] == factors["pelvis"][2] != 1.0
    assert factors["pelvis"][1] == 1.0
    assert factors["femur_r"].tolist() == [1.0, 2.0, 3.0]
    assert "tail" not in factors


@pytest.mark.parametrize(
    ("pairs", "manual", "message"),
    [
        ((("RASI", "RASI"),), None, "apart"),
        ((("RASI", "LASI"),), {"tail": np.ones(3)}, "tail"),
        ((("RASI", "LASI"),), {"pelvis": np.zeros(3)}, "pelvis"),
    ],
)
def test_bad_measurements_are_named(pairs, manual, message):
    body = load_osim(BODY_FILE)
    with pytest.raises(ValueError, match=message):
        scale_factors(body, static_trial(body), [Measurement("m", pairs, ("pelvis",), ((0,),))], manual)


def test_a_measurement_never_seen_is_skipped():
    body = load_osim(BODY_FILE)
    trial = static_trial(body)
    trial.positions[:, trial.labels.index("RASI")] = np.nan
    with pytest.warns(SkippedMeasurement, match="never seen"):
        factors = scale_factors(body, trial, [Measurement("m", (("RASI", "LASI"),), ("pelvis",), ((0,),))])
    assert factors["pelvis"].tolist() == [1, 1, 1]


def test_an_old_source_is_refused_whole(tmp_path):
    old = tmp_path / "old.osim"
    old.write_text('<OpenSimDocument Version="30000"><Model name="m"></Model></OpenSimDocument>')
    with pytest.raises(OsimError, match="OpenSim 4"):
        write_osim(tmp_path / "new.osim", old, {})
    assert not (tmp_path / "new.osim").exists()


def test_a_massless_body_stays_massless():
    body = load_osim(BODY_FILE)
    ghost = replace(body, segments=tuple(replace(s, mass=0.0) for s in body.segments))
    for segment in scaled_segments(ghost, {"pelvis": np.array([1.0, 2.0, 3.0])}, 70.0, False):
        assert segment.inertia == (0.0,) * 6
