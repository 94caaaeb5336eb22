"""A generator of a small BMLmovi in the published formats, whose ground truth is known.

    PYTHONPATH=tests python -m bmlmovi_fixture RAW            writes the downloads and RAW/truth
    PYTHONPATH=tests python -m bmlmovi_fixture.prove RAW OUT  compares records with the truth

generate.py writes the files, motions.py restricts motions to those that SMPL-H can represent, smplh_body.py
and shapes.py express our own body as an SMPL-H model, proof.py measures the errors.
"""
