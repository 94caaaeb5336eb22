from types import SimpleNamespace

import numpy as np
import pytest
import torch

from d3ke_lib.body.pose import Points, Pose, Validity
from d3ke_lib.nets import losses as L


@pytest.fixture(scope="module")
def scene(skeleton, labelled):
    torch.manual_seed(5)
    (prediction, _), (target, valid) = labelled(6), labelled(6)
    return SimpleNamespace(prediction=prediction, target=target, valid=valid, skeleton=skeleton)


def _of(scene, **changes):
    options = {k: changes.pop(k) for k in ("norm", "mask_angles") if k in changes}
    s = SimpleNamespace(**{**vars(scene), **changes})
    return L.losses(s.prediction, s.target, s.valid, s.skeleton, **options)


def test_equals_the_released_losses(shared, released_skeleton):
    with np.load(shared / "parity/losses.npz") as stored:
        z = {key: torch.from_numpy(stored[key]) for key in stored if stored[key].dtype.kind == "f"}
    points, mask = z["gt_pose3d"].split([50, 65], 1), z["mask"].bool().split([50, 65], 1)
    terms = L.losses(
        (Pose(z["predRot"], z["predBoneScale"]), Points(z["predJointPos"], z["predMarkerPos"])),
        (Pose(z["gt_coordinateAngle"], z["gt_boneScale"]), Points(*points)),
        Validity(z["coordinateMask"].bool(), *mask),
        released_skeleton,
    )
    for name, term in terms._asdict().items():
        weighted = float(term) * getattr(L.RELEASED, name)
        assert weighted == pytest.approx(float(z[f"loss_{name}"]), rel=1e-6), name
    summed = sum(float(z[f"loss_{name}"]) for name in terms._fields)
    assert float(L.total(terms, L.RELEASED)) == pytest.approx(summed, rel=1e-6)


def test_nothing_is_lost_where_nothing_differs(scene):
    assert _of(scene, prediction=scene.target) == L.Losses(*4 * (torch.tensor(0.0),))


def test_positions_do_not_depend_on_where_the_root_is(scene):
    pose, points = scene.target
    moved = (pose, Points(points.joints + 3.0, points.markers + 3.0))
    torch.testing.assert_close(_of(scene, target=moved), _of(scene), atol=1e-5, rtol=1e-5)


def test_one_joint_that_is_off_by_a_vector(scene):
    pose, points = scene.target
    joints = points.joints.clone()
    joints[:, 7] += torch.tensor([0.3, 0.0, -0.4])
    prediction = (pose, Points(joints, points.markers))
    assert float(_of(scene, prediction=prediction).joint) == pytest.approx(0.7 / 50, rel=1e-5)
    assert float(_of(scene, prediction=prediction, norm="L2").joint) == pytest.approx(0.5 / 50, rel=1e-5)


def test_markers_count_by_their_weight(scene):
    pose, points = scene.target
    for i in (0, 30, 64):
        markers = points.markers.clone()
        markers[:, i, 1] += 0.1
        loss = float(_of(scene, prediction=(pose, Points(points.joints, markers))).marker)
        assert loss == pytest.approx(float(scene.skeleton.marker_weights[i]) / 10 * 0.1 / 65, rel=1e-4)


def test_angle_loss_far_from_zero_is_linear_in_degrees_with_range_weights(scene):
    half, (pose, points) = scene.skeleton.angle_half, scene.target
    widest, narrowest = int(half.argmax()), int(half.argmin())
    for i, weight in ((widest, 2.0), (narrowest, 1.0)):
        near, far = (pose.angles.clone() for _ in range(2))
        near[:, i] += 0.5 * half[i]
        far[:, i] += half[i]
        terms = [float(_of(scene, prediction=(Pose(a, pose.scales), points)).angle) for a in (near, far)]
        expected = weight * float(torch.rad2deg(0.5 * half[i])) / 69
        assert terms[1] - terms[0] == pytest.approx(expected, rel=1e-4)


def test_what_is_masked_counts_neither_forward_nor_backward(scene):
    pose, points = scene.target
    hidden = Validity(*(mask.clone() for mask in scene.valid))
    broken = Pose(pose.angles.clone(), pose.scales), Points(points.joints.clone(), points.markers.clone())
    for mask, values in zip(hidden, (broken[0].angles, *broken[1]), strict=True):
        mask[:, 5:9] = False
        values[:, 5:9] = torch.nan
    guess = scene.prediction[0].angles.clone().requires_grad_()
    prediction = (Pose(guess, scene.prediction[0].scales), scene.prediction[1])
    terms = _of(scene, prediction=prediction, target=broken, valid=hidden)
    torch.testing.assert_close(terms, _of(scene, prediction=prediction, valid=hidden))
    L.total(terms).backward()
    assert torch.isfinite(guess.grad).all()
    assert not guess.grad[:, 5:9].any()


@pytest.mark.parametrize("norm", L.NORMS)
def test_all_masked_is_zero_with_a_zero_gradient(scene, norm):
    nothing = Validity(*(torch.zeros_like(mask) for mask in scene.valid))
    pose, points = scene.prediction
    joints = points.joints.clone().requires_grad_()
    terms = _of(scene, prediction=(pose, Points(joints, points.markers)), valid=nothing, norm=norm)
    assert terms.joint == terms.marker == terms.angle == 0
    (terms.joint + terms.marker).backward()
    assert not joints.grad.any()


def test_a_frame_without_labels_counts_in_the_mean_over_frames(scene):
    half = Validity(*(mask.clone() for mask in scene.valid))
    full = _of(scene, valid=half)
    for mask in half:
        mask[3:] = False
    first = [Pose(*(field[:3] for field in pose)) for pose in (scene.prediction[0], scene.target[0])]
    points = [Points(*(field[:3] for field in points)) for points in (scene.prediction[1], scene.target[1])]
    alone = L.losses(
        (first[0], points[0]), (first[1], points[1]), Validity(*(m[:3] for m in half)), scene.skeleton
    )
    seen = _of(scene, valid=half)
    torch.testing.assert_close(
        (seen.joint, seen.marker, seen.angle), (alone.joint / 2, alone.marker / 2, alone.angle / 2)
    )
    assert full.body == seen.body


def test_angles_can_be_left_unmasked(scene):
    nothing = scene.valid._replace(angles=torch.zeros_like(scene.valid.angles))
    assert _of(scene, valid=nothing, mask_angles=False).angle == _of(scene).angle


def test_windows_weigh_as_their_frames(scene):
    def windows(fields):
        return type(fields)(*(field.unflatten(0, (2, 3)) for field in fields))

    pairs = [tuple(windows(part) for part in pair) for pair in (scene.prediction, scene.target)]
    terms = L.losses(*pairs, windows(scene.valid), scene.skeleton)
    torch.testing.assert_close(terms, _of(scene))


def test_weights_of_the_paper_and_of_the_released_code(scene):
    terms = L.Losses(*torch.tensor([1.0, 10.0, 100.0, 1000.0]))
    assert float(L.total(terms)) == pytest.approx(1 + 20 + 10 + 60)
    assert float(L.total(terms, L.RELEASED)) == pytest.approx(1 + 20 + 10 + 10)


def test_unknown_norm_is_refused(scene):
    with pytest.raises(ValueError, match="unknown norm 'L3'; known: L1, L2"):
        _of(scene, norm="L3")


def test_points_around_an_unknown_pelvis_are_left_out(scene):
    pose, points = scene.target
    joints, hidden = points.joints.clone(), Validity(*(mask.clone() for mask in scene.valid))
    joints[2:, 0] = torch.nan
    hidden.joints[2:, 0] = False
    unknown = Validity(hidden.angles, hidden.joints.clone(), hidden.markers.clone())
    unknown.joints[2:] = unknown.markers[2:] = False
    found = _of(scene, target=(pose, Points(joints, points.markers)), valid=hidden)
    torch.testing.assert_close(found, _of(scene, valid=unknown))
    claimed = _of(scene, target=(pose, Points(joints, points.markers)))  # said to be valid: not passed over
    assert claimed.joint.isnan()


def test_no_frames_at_all_are_refused(scene):
    def none(part):
        return type(part)(*(None if field is None else field[:0] for field in part))

    empty = (none(scene.target[0]), none(scene.target[1]))
    with pytest.raises(ValueError, match=r"losses of no frames: angles have shape \(0, 69\)"):
        _of(scene, prediction=empty, target=empty, valid=none(scene.valid))
