"""Make book/torch-network.npz: the weights of a small PyTorch network, inputs, and its outputs.

The page on foreign models puts these weights into our layers. PyTorch is not among the locked
packages, so the page reads what this program has written; a test makes it anew where PyTorch is.

    python tools/make_torch_network.py
"""

from pathlib import Path

import numpy as np

FILE = Path(__file__).parent.parent / "book" / "torch-network.npz"


def numbers() -> dict[str, np.ndarray]:
    """Build the network and run it: its weights under PyTorch's names, inputs and outputs."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(3, stride=1, padding=1),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    with torch.no_grad():
        inputs = torch.rand(4, 1, 28, 28)
        weights = {name: value.numpy() for name, value in net.state_dict().items()}
        return {**weights, "inputs": inputs.numpy(), "outputs": net(inputs).numpy()}


if __name__ == "__main__":
    np.savez_compressed(FILE, **numbers())
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")
