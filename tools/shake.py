"""Execute the pages as other processors would, and list each check that did not hold.

python -m tools.shake [PAGE ...] [--times N] [--jobs N]      all pages, ten times, by default

Another processor rounds otherwise, and a training is chaotic: after some hundred steps the network
is another one. The same comes of a relative change of all first weights by one millionth, which is
made here: another one in each draw. The draws also take turns in computing with one thread or two,
with oneDNN or without it. Every fifth computes as newer GPUs do, which keep ten bits of the
mantissa of what they multiply (TF32), if the cell at the head of each notebook lets them. No
training is taken from a cache.

It can be stopped at any moment. What is done lies in _build/shakes, and is done again only if the
page, the package or a record has changed.
"""

import argparse
import hashlib
import importlib
import inspect
import json
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "book"
RECORDS = ROOT / "experiments" / "records"
RESULTS = ROOT / "_build" / "shakes"
SIZE = 1e-6  # of the change, relative
SECONDS = 900  # for one cell

Result = dict[str, Any]


def perturb(draw: int) -> None:
    """Change what Keras's random initializers give from now on, by a millionth.

    Args:
        draw: Seed of the changes. Draw 0 changes nothing.
    """
    import keras
    import numpy as np

    if draw == 0:
        return
    rng = np.random.default_rng(draw)
    kinds = keras.initializers
    for kind in (
        *(kinds.VarianceScaling, kinds.RandomUniform, kinds.RandomNormal),
        *(kinds.TruncatedNormal, kinds.Orthogonal),
    ):

        def call(self: Any, shape: Any, *args: Any, plain: Any = kind.__call__, **more: Any) -> Any:
            weights = plain(self, shape, *args, **more)
            if "float" not in keras.backend.standardize_dtype(weights.dtype):
                return weights
            change = (1 + SIZE * rng.choice((-1, 1), size=tuple(shape))).astype("float32")
            return weights * keras.ops.cast(change, weights.dtype)

        kind.__call__ = call


# Where all products of TensorFlow and of its gradients pass, by module; and what they multiply.
_PRODUCTS = {
    "gen_math_ops": ("mat_mul", "batch_mat_mul", "batch_mat_mul_v2", "batch_mat_mul_v3"),
    "gen_linalg_ops": ("einsum",),
    "gen_nn_ops": (
        *("conv2d", "conv2d_backprop_input", "conv2d_backprop_filter"),
        *("depthwise_conv2d_native", "depthwise_conv2d_native_backprop_input"),
        "depthwise_conv2d_native_backprop_filter",
    ),
}
_FACTORS = ("a", "b", "x", "y", "inputs", "input", "filter", "out_backprop")


def round_factors() -> None:
    """Let TensorFlow round what it multiplies to TF32 from now on: to ten bits of the mantissa.

    So do products of matrices and convolutions on newer GPUs, and add in 32 bits; unless it is
    switched off by `tf.config.experimental.enable_tensor_float_32_execution(False)`.

    Source:
        NVIDIA (2020), *NVIDIA A100 Tensor Core GPU Architecture*, on TF32.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def rounded(x: Any) -> Any:
        bits = tf.bitcast(x, tf.int32)
        last = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, 13), 1)
        near = tf.bitwise.bitwise_and(bits + 0xFFF + last, ~0x1FFF)  # of two as near, the even one
        return tf.where(tf.math.is_finite(x), tf.bitcast(near, tf.float32), x), lambda d: d

    def seen(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return [seen(each) for each in x]
        allowed = tf.config.experimental.tensor_float_32_execution_enabled()
        if not allowed or getattr(x, "dtype", None) != tf.float32:
            return x
        return rounded(tf.convert_to_tensor(x))  # it may be a variable

    for module_name, names in _PRODUCTS.items():
        module = importlib.import_module(f"tensorflow.python.ops.{module_name}")
        for name in names:
            plain = getattr(module, name)

            def call(*args: Any, plain: Any = plain, **more: Any) -> Any:
                bound = inspect.signature(plain).bind(*args, **more)
                given = bound.arguments
                given.update({key: seen(given[key]) for key in _FACTORS if key in given})
                return plain(*bound.args, **bound.kwargs)

            setattr(module, name, call)


def settings(draw: int) -> dict[str, str]:
    """Environment variables of a draw: one thread or two, with oneDNN or without."""
    threads = str(1 + draw % 2)
    return {
        "TF_NUM_INTRAOP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "TF_ENABLE_ONEDNN_OPTS": str(draw // 2 % 2),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "CNN_TF_RECORDS": str(RECORDS),
    }


def execute(path: Path, draw: int) -> Result:
    """Run the cells of a page in a kernel of their own.

    Returns:
        The page, the draw, the seconds, and for each cell that failed its number, the line of the
        page where it begins, and the error.
    """
    from myst_nb.core.read import read_myst_markdown_notebook
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell

    sys.path.append(str(ROOT / "book" / "_extensions"))
    from notebooks import DEVICE

    text = path.read_text("utf-8")
    notebook = read_myst_markdown_notebook(text)
    prelude = f"from tools.shake import perturb, round_factors\n\nperturb({draw})"
    if draw % 5 == 0:
        prelude += f"\nround_factors()\n{DEVICE}"
    notebook.cells.insert(0, new_code_cell(prelude))
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        allow_errors=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    started = time.perf_counter()
    client.execute(env=os.environ | settings(draw))
    failed = []
    sources = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(sources):
        if "raises-exception" in cell.metadata.get("tags", ()):
            continue  # it shows an error on purpose
        for output in cell.outputs:
            if output.output_type == "error":
                line = text[: text.index(cell.source)].count("\n") + 1 if number else 0
                where = [row for row in "\n".join(output.traceback).split("\n") if "--> " in row]
                failed.append(
                    {
                        "cell": number,
                        "line": line,
                        "error": f"{output.ename}: {output.evalue}"[:300],
                        "at": where[0] if where else "",
                    }
                )
    seconds = round(time.perf_counter() - started, 1)
    return {"page": path.stem, "draw": draw, "seconds": seconds, "failed": failed}


def key(page: str) -> str:
    """Name what the outcome depends on: the page, the records that it reads, the package."""
    text = (BOOK / f"{page}.md").read_text("utf-8")
    digest = hashlib.sha256(text.encode())
    read = [RECORDS / f"{name}.json" for name in re.findall(r'read_record\("([\w-]+)"\)', text)]
    for path in (*sorted(read), *sorted(ROOT.glob("cnn_tf/**/*.py")), Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def kept(page: str, draw: int) -> Path:
    """Name the file of an outcome."""
    return RESULTS / f"{page}-{draw}-{key(page)}.json"


def keep(result: Result) -> None:
    """Write an outcome, whole or not at all."""
    path = kept(result["page"], result["draw"])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result), "utf-8")
    partial.replace(path)


def pages_with_cells() -> list[str]:
    """List the pages that are executed, the longest files first."""
    texts = {path.stem: path.read_text("utf-8") for path in BOOK.glob("*.md")}
    found = [page for page, text in texts.items() if "```{code-cell}" in text]
    return sorted(found, key=lambda page: -len(texts[page]))


def described(failure: Result) -> str:
    at = failure["at"].encode("ascii", "ignore").decode()
    return f"cell {failure['cell']}, line {failure['line']}: {failure['error']}  {at}"


def run_all(pages: list[str], times: int, jobs: int) -> Iterator[Result]:
    """Give each outcome: at once what is kept, then the others as they come."""
    tasks = [(page, draw) for draw in range(1, times + 1) for page in pages]
    missing = []
    for task in tasks:
        try:
            yield dict(json.loads(kept(*task).read_text("utf-8")))
        except (OSError, ValueError):
            missing.append(task)
    if not missing:
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, max_tasks_per_child=1) as pool:
        futures = {
            pool.submit(execute, BOOK / f"{page}.md", draw): (page, draw) for page, draw in missing
        }
        for future in as_completed(futures):
            try:
                result = future.result()
            except Exception as error:  # a dead kernel, a cell that never ends
                page, draw = futures[future]
                told = f"{type(error).__name__}: {error}"[-300:]
                failed = [{"cell": 0, "line": 0, "error": told, "at": ""}]
                yield {"page": page, "draw": draw, "seconds": 0, "failed": failed}
            else:
                keep(result)
                yield result


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.shake",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="names without .md")
    parser.add_argument("--times", type=int, default=10, help="draws of each page")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="pages at a time")
    arguments = parser.parse_args()
    known = pages_with_cells()
    unknown = [page for page in arguments.pages if page not in known]
    if unknown or arguments.times < 1 or arguments.jobs < 1:
        what = f"there is no page {unknown[0]!r} with cells" if unknown else "1 is the least"
        parser.error(f"{what}; pages: {', '.join(known)}")
    pages = arguments.pages or known
    failures: dict[str, list[Result]] = {page: [] for page in pages}
    total, began = len(pages) * arguments.times, time.perf_counter()
    for done, found in enumerate(run_all(pages, arguments.times, arguments.jobs), start=1):
        failures[found["page"]] += found["failed"]
        left = (time.perf_counter() - began) / done * (total - done) / 60
        name = f"{found['page']}, draw {found['draw']}"
        told = f"{len(found['failed'])} checks failed in {found['seconds']:.0f} s"
        print(f"{done}/{total}  {name}: {told}; about {left:.0f} min left", flush=True)
        for failure in found["failed"]:
            print(f"    {described(failure)}", flush=True)
    print(f"\n{'page':22} checks that failed in {arguments.times} draws")
    for page, failed in failures.items():
        print(f"{page:22} {len(failed)}")
    return 1 if any(failures.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
