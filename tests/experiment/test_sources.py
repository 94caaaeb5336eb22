"""The code's hash follows what is computed and nothing else."""

from d3ke_lib.experiment import sources


def test_blind_to_comments_and_docstrings():
    plain = "def f(x):\n    return x + 1\n"
    told = '"""Why."""\n\n\ndef f(x):\n    """Adds one."""\n    return x + 1  # one\n'
    assert sources._meaning(plain) == sources._meaning(told)
    assert sources._meaning(plain) != sources._meaning(plain.replace("1", "2"))


def test_covers_every_part_that_decides_a_run():
    before = sources.code_hash()
    assert before == sources.code_hash()
    assert before != sources.code_hash(("body", "nets"))
