from .data import FashionMNIST
from .explorers import explore, load_network, save_network
from .functional import (
    comp_conv2d,
    conv2d,
    corr2d,
    corr2d_multi_in,
    corr2d_multi_in_out,
    corr2d_multi_in_out_1x1,
    output_size,
    pool2d,
)
from .layers import AveragePooling2D, AvgPool2D, Conv2D, MaxPool2D, MaxPooling2D
from .models import MLP, LeNet, SmallResNet, layer_summary
from .training import TrainingLog, fit

__all__ = [
    "MLP",
    "AveragePooling2D",
    "AvgPool2D",
    "Conv2D",
    "FashionMNIST",
    "LeNet",
    "MaxPool2D",
    "MaxPooling2D",
    "SmallResNet",
    "TrainingLog",
    "comp_conv2d",
    "conv2d",
    "corr2d",
    "corr2d_multi_in",
    "corr2d_multi_in_out",
    "corr2d_multi_in_out_1x1",
    "explore",
    "fit",
    "layer_summary",
    "load_network",
    "output_size",
    "pool2d",
    "save_network",
]
