"""The code's hash follows what is computed and nothing else."""

from d3ke_lib.experiment.run import code_hash
from d3ke_lib.settings import REPOSITORY

TRAINING = ("d3ke_lib.experiment.run.train_frame", "d3ke_lib.experiment.run.train_temporal")


def test_blind_to_comments_and_docstrings():
    plain = "def f(x):\n    return x + 1\n"
    told = '"""Why."""\n\n\ndef f(x):\n    """Adds one."""\n    return x + 1  # one\n'
    assert code_hash.meaning(plain) == code_hash.meaning(told)
    assert code_hash.meaning(plain) != code_hash.meaning(plain.replace("1", "2"))


def test_covers_what_training_imports_and_nothing_else():
    found = code_hash.sources(*map(code_hash.path_of, TRAINING))
    covered = {path.relative_to(REPOSITORY).with_suffix("").as_posix() for path in found}
    for part in ("body/kinematics", "data/augment", "nets/tcn", "nets/losses", "experiment/run/schedule"):
        assert f"d3ke_lib/{part}" in covered
    for part in (
        "body/ik/solve",
        "data/renderer/raytrace",
        "experiment/run/config",
        "experiment/report/plots",
    ):
        assert f"d3ke_lib/{part}" not in covered
    assert code_hash.code_hash(*TRAINING) != code_hash.code_hash("d3ke_lib.nets.frame")
