"""Two processes train as one: the same gradients, one result, one log."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_processes

from d3ke_lib.experiment.run import artifacts, run_folder
from d3ke_lib.experiment.run.artifacts import D3keError
from d3ke_lib.experiment.run.distributed import ProcessGroup, init


def torchrun(what: str, records: Path, out: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["--nnodes=1", "--nproc-per-node=2", "--master-addr=127.0.0.1", f"--master-port={port}"]
    script = [str(Path(two_processes.__file__)), what, str(records), str(out)]
    command = [sys.executable, "-m", "torch.distributed.run", *place, *script]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_have_the_gradients_of_one(toy_records, tmp_path, small_networks):
    torchrun("gradients", toy_records, tmp_path / "gradients.safetensors")
    found, _ = artifacts.read_tensors(tmp_path / "gradients.safetensors")
    expected = two_processes.gradients(toy_records, ProcessGroup(torch.device("cpu")))
    assert found.keys() == expected.keys()
    assert max(float(part.abs().max()) for part in expected.values()) > 1e-3
    for name, part in expected.items():
        torch.testing.assert_close(found[name], part, rtol=1e-4, atol=1e-7)


def test_two_processes_leave_one_finished_run(toy_records, tmp_path):
    torchrun("train", toy_records, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        run_folder.LOG,
        run_folder.MODEL,
        run_folder.RESULT,
    ]
    result = artifacts.read_json(tmp_path / "run" / run_folder.RESULT)
    assert result["step"] == 8
    steps = [
        line["step"] for line in artifacts.read_log(tmp_path / "run" / run_folder.LOG) if "total" in line
    ]
    assert steps == [2, 3, 4, 6, 8]


def test_shares_make_up_the_batch():
    batch = torch.arange(6)
    shares = [ProcessGroup(torch.device("cpu"), rank, 3).share(batch) for rank in range(3)]
    assert torch.equal(torch.cat(shares).sort().values, batch)
    assert {len(share) for share in shares} == {2}


def test_a_batch_must_divide_evenly(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(D3keError, match="batch 8: expected a multiple of the 3 processes"), init("cpu", 8):
        pass
