"""SMPL-H forward: against a plain loop, known turns, and files that are something else."""

from pathlib import Path

import numpy as np
import pytest
import small_bmlmovi
import torch
from scipy.spatial.transform import Rotation

from d3ke_lib.data.bmlmovi import smplh


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bmlmovi.write_model(tmp_path_factory.mktemp("smplh") / "male" / "model.npz")


@pytest.fixture(scope="module")
def model(path: Path) -> smplh.SmplhModel:
    """The doll, with weights over several joints and corrective shapes, so that nothing is left out."""
    doll = smplh.load_model(path)
    some = smplh.keep_vertices(doll, [7, 828, 3171, 6728])
    generator = torch.Generator().manual_seed(0)
    draw = lambda like: torch.rand(like.shape, generator=generator, dtype=torch.float64)  # noqa: E731
    weights = draw(some.weights)
    return some._replace(
        weights=weights / weights.sum(-1, keepdim=True),
        corrective=0.01 * draw(some.corrective),
        shape=0.01 * draw(some.shape),
    )


def changed(path: Path, folder: Path, **arrays: np.ndarray) -> Path:
    with np.load(path) as file:
        np.savez(folder / "model.npz", **{**file, **arrays})
    return folder / "model.npz"


def plain(model: smplh.SmplhModel, betas: np.ndarray, pose: np.ndarray, trans: np.ndarray) -> np.ndarray:
    """SMPL's formula for one frame and vertex after vertex, 4 × 4 matrices throughout."""
    R = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix()
    joints = model.joint_template.numpy() + model.joint_shape.numpy() @ betas
    world = []
    for j, parent in enumerate(model.parents):
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = R[j], joints[j] - (joints[parent] if j else 0)
        world.append(world[parent] @ T if j else T)
    feature = (R[1:] - np.eye(3)).reshape(-1)
    found = []
    for v in range(len(model.template)):
        x = model.template[v].numpy() + model.shape[v].numpy() @ betas
        x = x + model.corrective[v].numpy() @ feature
        moved = sum(
            w * (T @ np.append(x - joint, 1))[:3]
            for w, T, joint in zip(model.weights[v].numpy(), world, joints)
        )
        found.append(moved + trans)
    return np.stack(found)


def test_vertices_are_those_of_the_plain_formula(model: smplh.SmplhModel) -> None:
    draw = np.random.default_rng(1)
    betas, poses, trans = draw.normal(size=16), draw.normal(size=(3, 156)) * 0.7, draw.normal(size=(3, 3))
    found, _ = smplh.pose_model(model, *map(torch.from_numpy, (betas, poses, trans)))
    expected = np.stack([plain(model, betas, *one) for one in zip(poses, trans)])
    assert np.abs(found.numpy() - expected).max() < 1e-12


def test_leading_axes_are_one_implementation(model: smplh.SmplhModel) -> None:
    draw = torch.Generator().manual_seed(2)
    poses, trans = torch.randn(2, 3, 156, generator=draw), torch.randn(2, 3, 3, generator=draw)
    many = smplh.pose_model(model, torch.zeros(16), poses, trans)
    one = smplh.pose_model(model, torch.zeros(16), poses[1, 2], trans[1, 2])
    for a, b in zip(many, one):
        torch.testing.assert_close(a[1, 2], b)


def test_root_turns_the_whole_body_about_the_pelvis(model: smplh.SmplhModel) -> None:
    pose = torch.zeros(156, dtype=torch.float64)
    pose[:3] = torch.tensor([np.pi / 2, 0, 0])
    bare = model._replace(corrective=torch.zeros_like(model.corrective))
    stood, joints = smplh.pose_zero(bare, torch.zeros(16))
    lying, _ = smplh.pose_model(bare, torch.zeros(16), pose, torch.zeros(3))
    relative = stood - joints[0]
    expected = torch.stack([relative[:, 0], -relative[:, 2], relative[:, 1]], -1) + joints[0]
    torch.testing.assert_close(lying, expected)


def test_the_root_rotates_as_scipys_also_at_zero_and_differentiably_there(path: Path) -> None:
    model = smplh.keep_vertices(smplh.load_model(path), [6598])
    vectors = torch.tensor(
        [[0.0, 0, 0], [1e-9, 0, 0], [3.0, -1, 2], [0, np.pi, 0]], dtype=torch.float64
    ).requires_grad_()
    poses = torch.cat([vectors, torch.zeros(4, smplh.POSE - 3, dtype=torch.float64)], -1)
    _, joints = smplh.pose_model(model, torch.zeros(16), poses, torch.zeros(4, 3))
    relative = joints - joints[:, :1]
    expected = (
        relative[:1].detach()
        @ torch.from_numpy(Rotation.from_rotvec(vectors.detach().numpy()).as_matrix()).mT
    )
    assert (relative - expected).abs().max() < 1e-12
    relative.sum().backward()
    assert vectors.grad.isfinite().all()


def test_chosen_vertices_are_the_same_vertices(path: Path) -> None:
    whole = smplh.load_model(path)
    few = smplh.keep_vertices(whole, [6598, 134])
    stood, _ = smplh.pose_zero(whole, torch.ones(16))
    torch.testing.assert_close(smplh.pose_zero(few, torch.ones(16))[0], stood[[6598, 134]])


# -- files that are something else ------------------------------------------------------------


def test_smpl_is_refused_by_name(path: Path, tmp_path: Path) -> None:
    other = changed(path, tmp_path, weights=np.zeros((6890, 24)), posedirs=np.zeros((6890, 3, 207)))
    with pytest.raises(smplh.SmplhError, match=r"expected an SMPL-H.*52 joints, found SMPL with 24"):
        smplh.load_model(other)


def test_ten_betas_are_refused(path: Path, tmp_path: Path) -> None:
    other = changed(path, tmp_path, shapedirs=np.zeros((6890, 3, 10)))
    with pytest.raises(smplh.SmplhError, match=r"shapedirs: expected .* \(16 betas\), found \(6890, 3, 10\)"):
        smplh.load_model(other)


def test_cut_short_is_said(path: Path, tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(path.read_bytes()[:50_000])
    with pytest.raises(smplh.SmplhError, match=r"expected a whole .npz, found 50000 bytes"):
        smplh.load_model(tmp_path / "model.npz")


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", v_template=np.zeros((6890, 3)))
    with pytest.raises(smplh.SmplhError, match="missing shapedirs, posedirs, weights"):
        smplh.load_model(tmp_path / "model.npz")


def test_nothing_is_unpickled(path: Path, tmp_path: Path) -> None:
    other = changed(path, tmp_path, J_regressor=np.array({"sparse": 1}, object))
    with pytest.raises(smplh.SmplhError, match="expected plain arrays"):
        smplh.load_model(other)


@pytest.mark.parametrize(("betas", "pose", "match"), [(10, 156, "16 betas, found 10"), (16, 72, "72 .SMPL.")])
def test_other_inputs_are_refused(model: smplh.SmplhModel, betas: int, pose: int, match: str) -> None:
    with pytest.raises(smplh.SmplhError, match=match):
        smplh.pose_model(model, torch.zeros(betas), torch.zeros(2, pose), torch.zeros(2, 3))
