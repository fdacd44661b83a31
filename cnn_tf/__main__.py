"""The command line: `cnn-tf`, or `python -m cnn_tf`.

Keras is imported by the commands that compute, when they begin: help and completion do not wait.
"""

import contextlib
import importlib
import json
import os
import sys
import tempfile
import webbrowser
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import click
except ModuleNotFoundError:
    raise SystemExit("cnn-tf needs two packages more: pip install 'cnn_tf[cli]'") from None

if TYPE_CHECKING:
    import keras

    from cnn_tf.recipes import Recipe

INTERRUPTED = 130  # the exit code of a program that Ctrl-C stopped: 128 and the signal's number
RECIPES = ("lenet", "small-resnet")
EXPLORERS = (
    *("sliding-window", "padding", "channels", "kernels", "pooling", "learning"),
    *("receptive-field", "lenet", "training"),
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>body {{ font-family: system-ui, sans-serif }}</style>
</head>
<body>
<main>{body}</main>
</body>
</html>
"""


class Commands(click.Group):
    """A group whose commands say in a line what went wrong, and end with its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command: 0 if all went well, 1 if not, 2 for a wrong call, 130 for Ctrl-C."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            click.echo("\nInterrupted.", err=True)
            _tell_notes(error)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:  # of `| head`, say: click ends in silence
            raise
        except (ArithmeticError, ImportError, OSError, TypeError, ValueError) as error:
            _tell_notes(error)
            raise click.ClickException(_message(error)) from error


def _start_backend() -> None:
    """Import Keras, without what TensorFlow has to say about itself.

    It writes past Python, and some of it whatever its settings are. Set TF_CPP_MIN_LOG_LEVEL to
    see it.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        importlib.import_module("cnn_tf.training")
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        importlib.import_module("cnn_tf.training")
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _message(error: Exception) -> str:
    return " ".join(str(error).split("\n")) if isinstance(error, OSError) else str(error)


def _tell_notes(error: BaseException) -> None:
    for note in getattr(error, "__notes__", ()):
        click.echo(note, err=True)


def _examples(*lines: str) -> dict[str, str]:
    """The end of a command's help."""
    return {"epilog": "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)}


def _answering(command: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """A command that returns what it found, and prints it for people or, by --json, for programs.

    It is given `as_json`, prints for people itself, and says nothing on the standard output if that
    is true.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
    def run(*arguments: Any, as_json: bool, **options: Any) -> None:
        with _output_of_libraries_to_stderr() if as_json else contextlib.nullcontext():
            found = command(*arguments, as_json=as_json, **options)
        if as_json:
            click.echo(json.dumps(found, indent=1))

    return update_wrapper(run, command, updated=("__dict__",))


@contextlib.contextmanager
def _output_of_libraries_to_stderr() -> Iterator[None]:
    """Keep the standard output free, of what is printed beside Python too.

    Gloo, by which processes on CPUs reach one another, tells there whom it has reached.
    """
    sys.stdout.flush()
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(output, 1)
        os.close(output)


_data_option = click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder with the four files of Fashion-MNIST, or for them. Without it, the usual places.",
)
_model_option = click.option(
    "-m",
    "--model",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    default="model.keras",
    show_default=True,
    help="A model that `cnn-tf train` or Keras has saved.",
)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    **_examples(
        "cnn-tf train --epochs 2",
        "cnn-tf predict shoe.jpg",
        'eval "$(_CNN_TF_COMPLETE=bash_source cnn-tf)"   completion, also for zsh and fish',
    ),
)
@click.version_option(package_name="cnn_tf", message="%(version)s")
def main() -> None:
    """Convolutional networks from first principles, on the command line.

    KERAS_BACKEND chooses what computes: tensorflow, jax or torch.
    """


@main.command(
    **_examples(
        "cnn-tf train --epochs 2",
        "cnn-tf train --checkpoints run1 -o lenet.keras    can be killed, and goes on",
        "cnn-tf train small-resnet --epochs 40 --seed 3",
        "cnn-tf train --distribute --batch-size 1024",
        'cnn-tf train mine.json    with {"arguments": {"activation": "relu"}} in there',
    )
)
@click.argument("recipe", default="lenet", metavar="[RECIPE]")
@click.option("--epochs", type=click.IntRange(1), help="Passes over the training set.")
@click.option("--batch-size", type=click.IntRange(1), help="Pictures in a step.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="The optimizer's learning rate.",
)
@click.option(
    "--dtype", metavar="POLICY", help="What it computes in, such as mixed_bfloat16 or float64."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Decides the first weights and the order of the pictures.",
)
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder from which the training goes on when it was killed.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="model.keras",
    show_default=True,
    help="Where the trained model goes.",
)
@click.option(
    "--distribute", is_flag=True, help="On all devices: see `cnn_tf.distribution.distribute`."
)
@_data_option
@_answering
def train(
    recipe: str,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    dtype: str | None,
    seed: int,
    checkpoints: Path | None,
    output: Path,
    distribute: bool,
    folder: Path | None,
    as_json: bool,
) -> dict[str, Any]:
    """Train a network on Fashion-MNIST.

    RECIPE is `lenet`, the book's classic recipe, `small-resnet`, its best network, or a JSON file
    with the settings of `cnn_tf.recipes.Recipe`.
    """
    if output.suffix != ".keras":
        raise click.BadParameter(f"{output} does not end in .keras", param_hint="--output")
    if not output.absolute().parent.is_dir():
        raise click.BadParameter(
            f"there is no folder {output.absolute().parent}", param_hint="--output"
        )
    chosen = _recipe(recipe, epochs, batch_size, learning_rate, dtype)
    if chosen.permute:
        raise ValueError("A network of permuted pixels cannot be saved for pictures as they are.")
    draft = output.with_name(f".writing-{output.name}")
    draft.touch()  # or it fails now, and not when all has been trained
    draft.unlink(missing_ok=True)
    from cnn_tf import distribution
    from cnn_tf.data import FashionMNIST
    from cnn_tf.recipes import train as train_by

    data = FashionMNIST(folder)
    alone = contextlib.nullcontext(distribution.Group(devices=1, processes=1, process=0))
    with distribution.distribute() if distribute else alone as group:
        terminal = group.is_first and sys.stdout.isatty() and not as_json
        lines = (_lines(chosen.epochs),) if group.is_first and not terminal else ()
        model, log = train_by(
            *(chosen, data, seed), verbose=terminal, callbacks=lines, checkpoint_dir=checkpoints
        )
    if not group.is_first:
        return {"process": group.process}
    prepared = _with_preparation(model, chosen, data)
    try:
        prepared.save(draft)
        draft.replace(output)
    except OSError as error:
        rescued = Path(tempfile.mkdtemp(prefix="cnn-tf-"), output.name)
        prepared.save(rescued)
        raise OSError(
            error.errno, f"{error.strerror}. The model is in {rescued} instead of", str(output)
        ) from error
    finally:
        draft.unlink(missing_ok=True)
    if not as_json:
        click.echo(f"{log!r}\nThe model is in {output}.")
    return {
        "model": str(output),
        "weights": model.count_params(),
        "device": log.device,
        "devices": group.devices,
        "seconds": sum(log.seconds),
        "history": log.history,
    }


def _recipe(
    name: str,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    dtype: str | None = None,
) -> "Recipe":
    """The recipe that was named, with what was asked for in its place."""
    if name not in RECIPES and not Path(name).is_file():
        raise click.BadParameter(
            f"{name!r} is neither one of {', '.join(RECIPES)} nor a file.", param_hint="RECIPE"
        )
    _start_backend()
    from cnn_tf.recipes import Recipe, small_resnet_recipe

    if name == "lenet":
        recipe = Recipe()
    elif name == "small-resnet":
        recipe = small_resnet_recipe()
    else:
        try:
            declared = json.loads(Path(name).read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{name}: expected JSON. Received: {error}.") from None
        if not isinstance(declared, dict):
            raise ValueError(f"{name}: expected an object of settings. Received: {declared!r}.")
        recipe = Recipe.from_declared(declared)
    changed: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size}
    if learning_rate is not None:
        changed["settings"] = {**recipe.settings, "learning_rate": learning_rate}
    if dtype is not None:
        changed["arguments"] = {**recipe.arguments, "dtype": dtype}
    return replace(recipe, **{name: value for name, value in changed.items() if value is not None})


def _lines(epochs: int) -> "keras.callbacks.Callback":
    """Progress for a log: a line an epoch on the standard error."""
    import keras

    def tell(epoch: int, logs: dict[str, float]) -> None:
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        click.echo(f"epoch {epoch + 1} of {epochs}  {numbers}", err=True)

    return keras.callbacks.LambdaCallback(on_epoch_end=tell)


def _with_preparation(model: "keras.Model", recipe: "Recipe", data: Any) -> "keras.Model":
    """The model for pixels as they are, from 0 to 1: it prepares them as the recipe does."""
    import keras

    layers = model.layers if isinstance(model, keras.Sequential) else [model]
    if recipe.standardize:
        images, _ = data.train
        scale = 1 / float(images.std())
        first = keras.layers.Rescaling(scale, -float(images.mean()) * scale, name="standardize")
        layers = [first, *layers]
    return keras.Sequential([keras.Input(model.input_shape[1:]), *layers], name=model.name)


def _load(path: Path) -> "keras.Model":
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no model {path}. Train one first: cnn-tf train -o {path}"
        )
    _start_backend()
    import keras

    try:
        return keras.models.load_model(path, compile=False)
    except (EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path} cannot be read: it is damaged, or no model that Keras has saved "
            f"({type(error).__name__}: {error})."
        ) from error


def _probabilities(model: "keras.Model", images: Any, path: Path) -> Any:
    """What a model of ten classes thinks of pictures of 28x28."""
    import keras

    if tuple(model.input_shape[1:]) != images.shape[1:] or model.output_shape[1:] != (10,):
        raise ValueError(
            f"Expected a model of pictures (28, 28, 1) and ten classes in {path}. Received: one of "
            f"{model.input_shape[1:]} to {model.output_shape[1:]}."
        )
    from cnn_tf.training import ends_in_softmax

    outputs = model.predict(images, batch_size=500, verbose=0)
    return (
        outputs
        if ends_in_softmax(model)
        else keras.ops.convert_to_numpy(keras.ops.softmax(outputs.astype("float32")))
    )


@main.command(**_examples("cnn-tf evaluate", "cnn-tf evaluate -m lenet.keras --part validation"))
@_model_option
@click.option(
    "--part",
    type=click.Choice(["test", "validation", "train"]),
    default="test",
    show_default=True,
    help="Of the data set. Choose by `validation`; look at `test` once, at the end.",
)
@_data_option
@_answering
def evaluate(path: Path, part: str, folder: Path | None, as_json: bool) -> dict[str, Any]:
    """Say how many pictures of Fashion-MNIST a model names rightly."""
    model = _load(path)
    import numpy as np

    from cnn_tf.data import FashionMNIST

    images, labels = getattr(FashionMNIST(folder), part)
    probabilities = _probabilities(model, images, path)
    right = float((probabilities.argmax(axis=1) == labels).mean())
    own = np.maximum(probabilities[np.arange(len(labels)), labels], 1e-37)
    error = float(np.sqrt(right * (1 - right) / len(labels)))
    found = {
        "part": part,
        "pictures": len(labels),
        "accuracy": right,
        "standard_error": error,
        "cross_entropy": float(-np.log(own).mean()),
    }
    if not as_json:
        click.echo(
            f"{part}: {len(labels):,} pictures, accuracy {100 * right:.2f} ± {100 * error:.2f} %, "
            f"cross-entropy {found['cross_entropy']:.4f}"
        )
    return found


@main.command(
    **_examples(
        "cnn-tf predict shoe.jpg",
        "cnn-tf predict --seen seen.png *.jpg",
        "cnn-tf predict --json shoe.jpg",
    )
)
@click.argument(
    "images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path)
)
@_model_option
@click.option(
    "--invert",
    type=click.Choice(["auto", "yes", "no"]),
    default="auto",
    show_default=True,
    help="Whether a garment is darker than its background.",
)
@click.option(
    "--seen",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A picture file for what the network sees, from left to right.",
)
@_answering
def predict(
    images: tuple[Path, ...], path: Path, invert: str, seen: Path | None, as_json: bool
) -> dict[str, Any]:
    """Name the garment on each photograph, with the probability of each class.

    A photograph is prepared as the pictures of Fashion-MNIST were: grey, cut out, 28x28 pixels,
    bright on black. In a terminal you see what the network sees.
    """
    import numpy as np

    from cnn_tf.data import FashionMNIST
    from cnn_tf.photographs import read_photograph

    how: Any = {"auto": "auto", "yes": True, "no": False}[invert]
    pictures = np.stack([read_photograph(image, invert=how) for image in images])
    probabilities = _probabilities(_load(path), pictures, path)
    if seen:
        from PIL import Image

        strip = np.hstack(list((255 * pictures[..., 0]).round().astype("uint8")))
        try:
            Image.fromarray(strip).resize([8 * n for n in strip.shape[::-1]], 0).save(seen)
        except ValueError as error:  # no such kind of file
            raise click.BadParameter(f"{seen}: {error}.", param_hint="--seen") from None
    names = FashionMNIST.class_names
    found = []
    for image, picture, row in zip(images, pictures, probabilities, strict=True):
        order = row.argsort()[::-1]
        chances = {names[k]: float(row[k]) for k in order}
        found.append({"image": str(image), "class": names[order[0]], "probabilities": chances})
        if not as_json:
            likely = ", ".join(f"{names[k]} {100 * row[k]:.0f} %" for k in order[:3])
            click.echo(f"{image}: {likely}")
            if sys.stdout.isatty():
                click.echo(_blocks(picture[..., 0]))
    return {"predictions": found}


def _blocks(picture: Any) -> str:
    """A grey picture in a terminal: the upper and the lower half of a character are two pixels."""
    rows = []
    for upper, lower in zip(picture[::2], picture[1::2], strict=True):
        greys = [(round(255 * a), round(255 * b)) for a, b in zip(upper, lower, strict=True)]
        cells = (f"\x1b[38;2;{a};{a};{a};48;2;{b};{b};{b}m▀" for a, b in greys)
        rows.append("".join(cells) + "\x1b[0m")
    return "\n".join(rows)


@main.command(**_examples("cnn-tf summary", "cnn-tf summary small-resnet"))
@click.argument("model", default="lenet", metavar="[MODEL]")
@_answering
def summary(model: str, as_json: bool) -> dict[str, Any]:
    """List the layers of a network: shapes and numbers of weights.

    MODEL is `lenet`, `small-resnet`, or a file that Keras has saved.
    """
    if model not in RECIPES and not Path(model).is_file():
        raise click.BadParameter(
            f"{model!r} is neither one of {', '.join(RECIPES)} nor a file.", param_hint="MODEL"
        )
    _start_backend()
    from cnn_tf.models import layer_summary

    network = _recipe(model).build() if model in RECIPES else _load(Path(model))
    rows = layer_summary(network, network.input_shape[1:])
    if not as_json:
        click.echo(str(rows))
    return {"layers": [row._asdict() for row in rows], "weights": network.count_params()}


@main.command(
    "export",
    **_examples("cnn-tf export -o lenet.onnx", "cnn-tf export -m lenet.keras -o lenet.tflite"),
)
@_model_option
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="What to write; its ending is the format.",
)
@_answering
def export_model(path: Path, output: Path, as_json: bool) -> dict[str, Any]:
    """Write a model for another runtime.

    An output that ends in `.onnx` is for ONNX, `.tflite` for LiteRT, `.xml` for OpenVINO; without
    an ending it is a folder, a SavedModel.
    """
    model = _load(path)
    from cnn_tf.exports import export

    export(model, output)
    if not as_json:
        click.echo(f"The model is in {output}.")
    return {"output": str(output)}


@main.command(**_examples("cnn-tf data", "cnn-tf data --data ~/fashion --no-download"))
@_data_option
@click.option("--download/--no-download", default=True, help="Whether it may be fetched.")
@_answering
def data(folder: Path | None, download: bool, as_json: bool) -> dict[str, Any]:
    """Find Fashion-MNIST or fetch it, check it, and say where it lies."""
    from cnn_tf.data import FashionMNIST

    found = FashionMNIST(folder, download=download)
    sizes = {name: len(getattr(found, name).labels) for name in ("train", "validation", "test")}
    if not as_json:
        parts = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        click.echo(f"{found.source.folder} ({found.source.origin}): {parts}")
    return {
        "folder": str(found.source.folder),
        "origin": found.source.origin,
        "is_sample": found.source.is_sample,
        **sizes,
    }


@main.command(
    **_examples(
        "cnn-tf explore padding",
        "cnn-tf explore padding --set size=8 --set strides=2 -o padding.html",
        "cnn-tf explore lenet --model model.keras",
    )
)
@click.argument("name", type=click.Choice(EXPLORERS))
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting; JSON or a word."
)
@_model_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to write. Without it, it goes to a file of its own and a browser opens it.",
)
@_data_option
@_answering
def explore(
    name: str,
    settings: tuple[str, ...],
    path: Path,
    output: Path | None,
    folder: Path | None,
    as_json: bool,
) -> dict[str, Any]:
    """Make a page with one of the book's interactive figures.

    `lenet` runs the network of --model, `training` learns from the data.
    """
    chosen: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise click.BadParameter(f"{setting!r} is no NAME=VALUE.", param_hint="--set")
        try:
            chosen[key] = json.loads(value)
        except ValueError:
            chosen[key] = value
    if name in ("lenet", "training"):
        from cnn_tf.data import FashionMNIST

        chosen["data"] = FashionMNIST(folder)
    if name == "lenet":
        chosen["model"] = _load(path)
    _start_backend()
    from cnn_tf.explorers import explore as make

    explorer = make(name, **chosen)
    page = PAGE.format(title=name, body=explorer._repr_html_())
    file = output or Path(click.get_app_dir("cnn_tf"), f"{name}.html")
    if output is None:
        file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")
    if not as_json:
        click.echo(f"{explorer!r}\nThe page is {file}.")
    if output is None:
        webbrowser.open(file.absolute().as_uri())
    return {"page": str(file)}


@main.command(**_examples("cnn-tf device", "KERAS_BACKEND=jax cnn-tf device"))
@_answering
def device(as_json: bool) -> dict[str, Any]:
    """Say which device computes, and why."""
    _start_backend()
    from cnn_tf.training import device_name, explain_device

    found = {"device": device_name(), "why": explain_device()}
    if not as_json:
        click.echo(f"{found['device']}: {found['why']}")
    return found


if __name__ == "__main__":
    main(prog_name="cnn-tf")
