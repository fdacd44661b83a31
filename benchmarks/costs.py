"""What a layer of Keras's costs over the sizes that its number of operations depends on.

The page on channels compares it with the formula. Each round is kept, so that the page can show
how much the times of one and the same layer differ.
"""

import keras

from benchmarks.measure import Run, compare
from cnn_tf.recipes import FORMAT
from experiments import runner

NAME = "costs"
# A convolution with "same" padding of one image; one size at a time is changed.
SWEEPS = {
    "side": ({"k": 3, "c": 64}, (128, 256, 384, 512)),
    "k": ({"side": 128, "c": 64}, (3, 5, 7, 9)),
    "c": ({"side": 64, "k": 3}, (128, 256, 384, 512)),
}


def record(rounds: int) -> runner.Content:
    """Measure all sweeps, the sizes of each as rivals of one another.

    Returns:
        A record. Its arms are the sweeps, their sizes the `recipe`; its runs are the rounds, with
        the `seconds` of each size.
    """
    arms = {}
    for axis, (fixed, sizes) in SWEEPS.items():
        rivals = {str(size): layer(**fixed | {axis: size}) for size in sizes}
        measured = compare(axis, rivals, rounds).measured
        runs = [
            {"seed": number, "history": {}, "figures": {"seconds": seconds}, "made": 0}
            for number, seconds in enumerate(zip(*measured.values(), strict=True))
        ]
        arms[axis] = {"recipe": fixed | {axis: sizes}, "runs": runs}
    return {
        "format": FORMAT,
        "name": NAME,
        "question": "Does the time of a convolution follow the number of its operations?",
        "made": [runner.machine()],
        "arms": arms,
    }


def layer(side: int, k: int, c: int) -> Run:
    """Make a call of a layer with `c` channels, in and out, on an image of `side` pixels a side."""
    convolution = keras.layers.Conv2D(c, k, padding="same")
    image = keras.random.normal((1, side, side, c))
    return lambda: convolution(image)
