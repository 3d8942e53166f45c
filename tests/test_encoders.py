"""Encoders put images on the unit sphere, alike for a seed."""

import pytest
import torch

from contrastlab import encoders


@pytest.mark.parametrize(("name", "channels", "size"), [("small", 1, 28), ("small", 3, 32), ("resnet18", 3, 32)])
def test_embeddings_are_unit_vectors(name, channels, size):
    encoder = encoders.build(name, channels, dim=16, width=4, seed=0)
    x = torch.randn(3, channels, size, size)
    z = encoder(x)
    assert z.shape == (3, 16)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(z, encoder.project(encoder.features(x)))


def test_resnet18_keeps_the_resolution_of_small_images():
    encoder = encoders.build("resnet18", 3)
    before_pooling = torch.nn.Sequential(*list(encoder.backbone.children())[:-2])
    assert before_pooling(torch.zeros(1, 3, 32, 32)).shape == (1, 512, 4, 4)


def test_a_seed_fixes_the_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = encoders.build("small", 1, seed=3)
    assert torch.equal(torch.rand(1), expected)
    second = encoders.build("small", 1, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    other = encoders.build("small", 1, seed=4)
    assert not torch.equal(first.projection.weight, other.projection.weight)


def test_unknown_encoder_names_the_near_match():
    with pytest.raises(ValueError, match="unknown encoder 'resnet-18'. Did you mean 'resnet18'"):
        encoders.build("resnet-18", 3)
