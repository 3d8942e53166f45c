"""torch.compile in training: the same encoder to keep, and words where it cannot work."""

import os
import subprocess
import sys
from functools import partial

import pytest
import torch

from contrastlab import compiling, data
from contrastlab.config import Config
from contrastlab.train import load_trained, train

TINY = Config(epochs=2, batch_size=32, width=4, dim=16, warmup=0)


@pytest.fixture
def traced(monkeypatch):
    """Everything of torch.compile but the compiler, which takes a minute: `make bench` asks for that."""
    seen = []

    def eager(graph, inputs):
        seen.append(graph)
        return graph

    monkeypatch.setattr(compiling, "compile", partial(torch.compile, backend=eager))
    yield seen
    torch.compiler.reset()


def test_a_compiled_encoder_is_trained_and_kept_like_any_other(traced, tmp_path):
    images = data.load("fashion-mini").subset(96)
    plain = train(TINY, images, device="cpu", progress=False)
    assert not traced
    path = tmp_path / "run.safetensors"
    compiled = train(TINY, images, device="cpu", progress=False, compile=True, checkpoint=path)
    assert len(traced) >= 2  # the probe and the encoder
    assert compiled.history == pytest.approx(plain.history, rel=1e-3)
    expected = compiled.encoder.state_dict()
    for name, value in load_trained(path)[0].encoder.state_dict().items():
        assert torch.equal(value, expected[name])


def test_a_machine_without_a_compiler_is_told_what_it_needs(tmp_path):
    code = "from contrastlab.compiling import compiled; import torch; compiled(torch.nn.Linear(2, 2))"
    missing = {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | missing, capture_output=True, text=True)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert "CompilerMissing: torch.compile does not work here: " in last
    assert "no-such-compiler" in last and "apt install g++ python3-dev" in last
