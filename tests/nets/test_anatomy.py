import pytest
import torch

from d3ke_lib.experiment.studies import backbone_anatomy
from d3ke_lib.nets import backbone
from d3ke_lib.nets.backbone import NAMES, imagenet_weights

NOT_PUBLISHED = ("resnext50_32x8d", "resnext101_32x4d")


@pytest.mark.parametrize("name", sorted({*NAMES} - {*NOT_PUBLISHED}))
def test_counts_are_those_torchvision_publishes(name):
    published = imagenet_weights(name).meta
    assert backbone_anatomy.anatomy(name).parameters == published["num_params"]
    assert backbone_anatomy.multiply_adds(name, 224) / 1e9 == pytest.approx(published["_ops"], abs=1e-3)


def test_the_two_resnexts_differ_in_depth_and_in_width():
    small, large = backbone_anatomy.anatomy("resnext50_32x4d"), backbone_anatomy.anatomy("resnext101_32x8d")
    assert (small.blocks, small.layers, small.cardinality, small.group_width) == ((3, 4, 6, 3), 50, 32, 4)
    assert (large.blocks, large.layers, large.cardinality, large.group_width) == ((3, 4, 23, 3), 101, 32, 8)


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize(("depth", "blocks"), [(50, (3, 4, 6, 3)), (101, (3, 4, 23, 3))])
def test_depth_and_width_can_be_varied_one_without_the_other(depth, width, blocks):
    found = backbone_anatomy.anatomy(f"resnext{depth}_32x{width}d")
    assert (found.blocks, found.layers, found.cardinality, found.group_width) == (blocks, depth, 32, width)


@pytest.mark.parametrize("name", NOT_PUBLISHED)
def test_what_torchvision_lacks_has_no_imagenet_weights(name):
    with pytest.raises(ValueError, match=f"torchvision has no {name} .* weights=None or a file"):
        backbone.build(name, weights="imagenet")


def test_the_papers_resnext_101_costs_as_much_as_resnet_101():
    ours, plain = (
        backbone_anatomy.multiply_adds(name, 224) for name in (backbone_anatomy.PAPERS_101, "resnet101")
    )
    assert ours == pytest.approx(plain, rel=0.03)


def test_errors_and_unknown_names():
    assert backbone_anatomy.imagenet_errors("resnext50_32x4d") == (22.382, 6.302)
    with pytest.raises(ValueError, match="unknown backbone 'vgg'; known: resnet50"):
        backbone_anatomy.network("vgg")


def test_centre_striding_halves_how_far_cells_look_to_the_top_left():
    for centre, expected in ((False, -15.5), (True, -7.5)):
        net = backbone.build("resnext50_32x4d", centre, seed=0)
        offset = backbone_anatomy.gaze_offset(net, 128, torch.Generator().manual_seed(0))
        assert offset == pytest.approx((expected, expected), abs=1.5)


def test_groups_divide_the_channels_of_every_stage():
    for name in ("resnext50_32x4d", "resnext101_32x8d"):
        for stage in ("layer1", "layer4"):
            conv = backbone_anatomy.network(name).get_submodule(stage)[0].conv2
            assert (conv.groups, conv.weight.shape[1]) == (32, conv.out_channels // 32)


def test_cost_grows_as_the_number_of_pixels():
    small, large = (backbone_anatomy.multiply_adds("resnext50_32x4d", px) for px in (128, 256))
    assert large / small == pytest.approx(4, rel=0.03)  # the classifier does not grow


def test_one_backbones_weights_are_of_another_recipe():
    recipes = {name: imagenet_weights(name).meta["recipe"] for name in NAMES if name not in NOT_PUBLISHED}
    assert [name for name in recipes if "pull/5935" in recipes[name]] == ["resnext101_64x4d"]
