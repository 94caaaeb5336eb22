"""Files appear whole or not at all, whenever the process dies; a checkpoint comes back bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from d3ke_lib.experiment.run import artifacts
from d3ke_lib.experiment.run.artifacts import Checkpoint, D3keError

WRITER = """
import sys
from pathlib import Path
import torch
from d3ke_lib.experiment.run import artifacts
path, step = Path(sys.argv[1]), 0
while True:
    step += 1
    weights = {f"w{i}": torch.full((200, 200), float(step)) for i in range(20)}
    moments = {i: {"moment": torch.full((200, 200), float(step))} for i in range(20)}
    optimizer = {"state": moments, "param_groups": []}
    artifacts.write_checkpoint(path, artifacts.Checkpoint(weights, optimizer, {}, {"step": step}))
    if step == 1:
        print("ready", flush=True)
"""


def python(code: str, path: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=artifacts.REPOSITORY)


def trained() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.randn(2, 3, 8, 8)).square().sum().backward()
        optimizer.step()
    return net, optimizer


def test_checkpoint_round_trip_is_bit_equal_and_keeps_the_layout(tmp_path):
    net, optimizer = trained()
    state = {"step": 2, "log_offset": 17}
    average = {"a": torch.ones(2)}
    path = artifacts.write_checkpoint(
        tmp_path / "c.safetensors", Checkpoint(net.state_dict(), optimizer.state_dict(), average, state)
    )
    back = artifacts.read_checkpoint(path)
    assert back.state == state
    assert all(torch.equal(back.model[name], value) for name, value in net.state_dict().items())
    assert torch.equal(back.average["a"], average["a"])
    fresh = torch.optim.AdamW(net.parameters(), lr=0.5)
    artifacts.load_optimizer(fresh, back.optimizer)
    for parameter in net.parameters():
        for key, value in optimizer.state[parameter].items():
            assert torch.equal(fresh.state[parameter][key], value), key
        assert fresh.state[parameter]["exp_avg"].stride() == parameter.stride()
    assert fresh.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("after", [0.003, 0.03])  # s; the other points of a write: test_train.py
def test_kill_9_while_writing_leaves_a_whole_checkpoint(tmp_path, after):
    path = tmp_path / "checkpoint.safetensors"
    writer = python(WRITER, path)
    assert writer.stdout.readline() == b"ready\n"
    time.sleep(after)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    found = artifacts.read_checkpoint(path)
    values = {float(v.flatten()[0]) for v in found.model.values()}
    values |= {float(slot["moment"].flatten()[0]) for slot in found.optimizer["state"].values()}
    assert values == {float(found.state["step"])}  # weights, moments and state are of one and the same step


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = artifacts.write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match=r"nan|JSON"):
        artifacts.write_json(path, {"x": float("nan")})
    assert artifacts.read_json(path) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_is_the_same_bytes_for_the_same_content(tmp_path):
    one = artifacts.write_json(tmp_path / "1.json", {"b": 1, "a": [1.5]})
    two = artifacts.write_json(tmp_path / "2.json", {"a": [1.5], "b": 1})
    assert one.read_bytes() == two.read_bytes()
    assert artifacts.sha256(one) == artifacts.sha256(two)


def test_damaged_files_are_named(tmp_path):
    for name, reader in (("x.safetensors", artifacts.read_tensors), ("x.json", artifacts.read_json)):
        path = tmp_path / name
        with pytest.raises(D3keError, match=f"{name} does not exist"):
            reader(path)
        path.write_bytes(b"not this")
        with pytest.raises(D3keError, match=name):
            reader(path)


def test_tensors_carry_their_description(tmp_path):
    transposed = torch.arange(6.0).reshape(2, 3).T
    path = artifacts.write_tensors(tmp_path / "t.safetensors", {"x": transposed}, {"unit": "m"})
    tensors, about = artifacts.read_tensors(path)
    assert torch.equal(tensors["x"], transposed)
    assert about == artifacts.read_about(path) == {"unit": "m"}


def test_log_is_cut_back_to_the_checkpoint(tmp_path):
    path = tmp_path / "log.jsonl"
    with artifacts.open_log(path, 0) as log:
        artifacts.append(log, {"step": 1})
        offset = artifacts.settle(log)
        artifacts.append(log, {"step": 2})
        log.write('{"step": 3')  # killed in the middle of a line
    assert [record["step"] for record in artifacts.read_log(path)] == [1, 2]
    with artifacts.open_log(path, offset) as log:
        artifacts.append(log, {"step": 2, "again": True})
    assert artifacts.read_log(path) == [{"step": 1}, {"step": 2, "again": True}]
    with pytest.raises(D3keError, match="log was changed"):
        artifacts.open_log(path, 10_000)


def test_a_folder_is_held_by_one_process(tmp_path):
    folder = tmp_path / "run"
    holder = (
        "import sys, time; from pathlib import Path; from d3ke_lib.experiment.run import artifacts\n"
        "with artifacts.claimed(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    other = python(holder, folder)
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(D3keError, match="another process"), artifacts.claimed(folder):
        pass
    other.kill()
    other.wait()
    with artifacts.claimed(folder):  # a killed holder lets go
        pass


def test_what_another_configuration_made_is_kept(tmp_path):
    for content in ("first", "second"):
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "x").write_text(content)
        artifacts.set_aside(folder)
    assert (tmp_path / "run.old" / "x").read_text() == "first"
    assert (tmp_path / "run.old2" / "x").read_text() == "second"


def test_out_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("D3KE_OUT", os.fspath(tmp_path))
    assert artifacts.out_root() == tmp_path
    monkeypatch.delenv("D3KE_OUT")
    assert artifacts.out_root() == artifacts.REPOSITORY / "out"


def test_revision_is_a_commit_or_unknown(monkeypatch, tmp_path):
    revision = artifacts.git_revision().removesuffix("+changes")
    assert revision == "unknown" or len(revision) == 40
    monkeypatch.setattr(artifacts, "REPOSITORY", tmp_path)
    assert artifacts.git_revision() == "unknown"
    assert json.dumps(revision)
