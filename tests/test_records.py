"""Kept embeddings: small, without pickle, and the same points after the way through the file."""

import numpy as np
import pytest
import torch

from contrastlab import geometry, records


@pytest.fixture
def kept(tmp_path):
    z = torch.nn.functional.normalize(torch.randn(50, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.arange(50) % 10
    records.write_embeddings(records.folder("tiny", tmp_path) / "embeddings" / "simple-seed0.npz", z, labels)
    return z, labels


def test_embeddings_come_back_to_three_digits(tmp_path, kept):
    z, labels = records.load_embeddings("tiny", "simple-seed0", tmp_path)
    assert z.dtype == torch.float32 and labels.dtype == torch.int64
    torch.testing.assert_close(z, kept[0], atol=5e-4, rtol=0)
    torch.testing.assert_close(labels, kept[1])
    assert geometry.uniformity(z) == pytest.approx(geometry.uniformity(kept[0]), abs=2e-3)


def test_the_file_needs_no_pickle_and_holds_half_precision(tmp_path, kept):
    with np.load(tmp_path / "data/runs/tiny/embeddings/simple-seed0.npz", allow_pickle=False) as arrays:
        assert arrays["z"].dtype == np.float16 and arrays["labels"].dtype == np.uint8


@pytest.mark.parametrize(("largest", "kind"), [(255, np.uint8), (256, np.uint16), (70_000, np.uint32)])
def test_more_classes_take_a_larger_type_and_come_back(tmp_path, largest, kind):
    path = records.folder("tiny", tmp_path) / "embeddings" / "many.npz"
    labels = torch.tensor([0, 3, largest])
    records.write_embeddings(path, torch.eye(3), labels)
    assert records.load_embeddings("tiny", "many", tmp_path)[1].tolist() == labels.tolist()
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["labels"].dtype == kind


def test_embeddings_that_were_not_kept_name_those_that_were(tmp_path, kept):
    with pytest.raises(FileNotFoundError, match="Kept are: simple-seed0"):
        records.load_embeddings("tiny", "simple-seed1", tmp_path)
