"""1×1 convolutions as matrix products."""

import pytest
import torch
from torch import nn

from d3ke_lib.nets.pointwise import Pointwise, as_products


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("px", [6, 7])
def test_product_and_gradients_are_the_convolutions(stride, bias, px):
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, 1, stride, bias=bias).double()
    product = Pointwise(conv)
    x = torch.randn(3, 5, px, px, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(product(x), conv(x))
    inputs = (x, *conv.parameters())
    ours, theirs = (torch.autograd.grad(layer(x).square().sum(), inputs) for layer in (product, conv))
    torch.testing.assert_close(ours, theirs)


def test_same_keys_same_tensors_and_only_where_it_fits():
    net = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1, groups=2))
    state = net.state_dict()
    kinds = [type(layer) for layer in as_products(net)]
    assert kinds == [Pointwise, nn.Conv2d, nn.Conv2d]
    assert all(net.state_dict()[key].data_ptr() == value.data_ptr() for key, value in state.items())


def test_random_numbers_stay_untouched():
    conv = nn.Conv2d(4, 4, 1)
    before = torch.random.get_rng_state()
    Pointwise(conv)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_predictions_are_the_same_without_gradients():
    torch.manual_seed(0)
    product = Pointwise(nn.Conv2d(4, 3, 1, 2)).double()
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    with torch.no_grad():
        alone = product(x)
    torch.testing.assert_close(alone, product(x).detach())
