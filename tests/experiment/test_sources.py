"""The code's hash follows what is computed and nothing else."""

from d3ke_lib.experiment.run import code_hash as sources


def test_blind_to_comments_and_docstrings():
    plain = "def f(x):\n    return x + 1\n"
    told = '"""Why."""\n\n\ndef f(x):\n    """Adds one."""\n    return x + 1  # one\n'
    assert sources._meaning(plain) == sources._meaning(told)
    assert sources._meaning(plain) != sources._meaning(plain.replace("1", "2"))


def test_covers_what_training_imports_and_nothing_else():
    covered = sources.imported(sources.TRAINING)
    for part in ("body.kinematics", "data.augment", "nets.tcn", "nets.losses", "experiment.run.schedule"):
        assert f"d3ke_lib.{part}" in covered
    for part in ("body.ik.solve", "data.renderer.render", "experiment.run.config", "experiment.report.plots"):
        assert f"d3ke_lib.{part}" not in covered
    assert sources.code_hash() != sources.code_hash("d3ke_lib.nets.frame")
