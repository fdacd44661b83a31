"""cnn_tf.data: the order of the sources, faults of files and network, the split, the sample."""

import functools
import gzip
import hashlib
import http.server
import importlib.util
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cnn_tf import data
from cnn_tf.data import FashionMNIST, locate

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "book" / "sample"
TRAIN, TRAIN_LABELS, TEST, TEST_LABELS = data._FILES


def idx(array):
    """The array as an IDX file: 2048 for unsigned bytes plus the number of axes, sizes, bytes."""
    head = struct.pack(f">{1 + array.ndim}I", 2048 + array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    return folder


@pytest.fixture
def accept(monkeypatch):
    """Make these contents the true ones."""

    def accept(files):
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        monkeypatch.setattr(data, "_FILES", hashes)

    return accept


@pytest.fixture
def files(tmp_path, monkeypatch, accept):
    """Sixty training and twenty test images; image i is filled with i, and its label is i % 10.

    The machine seems to have no data, no network and no apt-get.
    """
    for name in ("CNN_TF_DATA", "CNN_TF_SAMPLE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(data, "_PACKAGE_FOLDER", tmp_path / "package")
    monkeypatch.setattr(data, "_URL", "http://127.0.0.1:9/")  # the discard port: refused
    files = {}
    for images, labels, count in ((TRAIN, TRAIN_LABELS, 60), (TEST, TEST_LABELS, 20)):
        numbers = np.arange(count)
        files[images] = idx(np.tile(numbers[:, None, None], (1, 28, 28)))
        files[labels] = idx(numbers % 10)
    accept(files)
    return files


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "keras" / "datasets" / "fashion-mnist"


@pytest.fixture
def server(tmp_path, files, monkeypatch):
    """A server with the four files; it calls `before` at each request and counts in `requests`."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            self.server.requests += 1
            self.server.before()
            super().do_GET()

        def send_header(self, name, value):
            if name == "Content-Length":
                value = int(value) + self.server.promised_too_much
            super().send_header(name, value)

        def log_message(self, *args):
            pass

    served = put(tmp_path / "served", files)
    handler = functools.partial(Handler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.folder, server.before = served, lambda: None
        server.requests = server.promised_too_much = 0
        server.handle_error = lambda *_: None  # a client that hangs up is part of the tests
        monkeypatch.setattr(data, "_URL", f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def debian(tmp_path, files, monkeypatch):
    """Stand-ins for apt-get and dpkg-deb; the "package" is a tar file. Returns apt-get's diary."""
    put(tmp_path / "root" / data._PACKAGE_FOLDER.relative_to("/"), files)
    scripts = tmp_path / "bin"
    scripts.mkdir()
    diary, deb = tmp_path / "diary", "dataset-fashion-mnist_0.0_all.deb"
    for name, script in {
        "apt-get": f'echo "$@" >> {diary}\n[ -d lists/partial ] || exit 100\n'
        'case "$*" in\n*update) echo "W: one dead repository" >&2; exit 100;;\n'
        f"*download*) tar -cf {deb} -C {tmp_path}/root .;;\nesac",
        "dpkg-deb": '[ "$1" = -x ] && tar -xf "$2" -C "$3"',
    }.items():
        (scripts / name).write_text(f"#!/bin/sh\n{script}\n")
        (scripts / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{scripts}:/usr/bin:/bin")
    return diary


# Where the files are looked for


def test_sources_are_tried_in_order(tmp_path, files, cache, server, debian, monkeypatch):
    named = put(tmp_path / "named", files)
    put(cache, files)
    put(tmp_path / "package", files)
    monkeypatch.setenv("CNN_TF_DATA", str(named))
    monkeypatch.setenv("CNN_TF_SAMPLE", str(SAMPLE))

    def empty(folder):
        for path in folder.iterdir():
            path.unlink()

    assert locate() == (named, "CNN_TF_DATA", False)
    empty(named)
    assert locate() == (cache, "Keras cache", False)
    empty(cache)
    assert locate() == (tmp_path / "package", "Debian package dataset-fashion-mnist", False)
    empty(tmp_path / "package")
    assert locate() == (named, "download", False)
    empty(named)
    empty(server.folder)
    assert locate() == (named, "Debian package dataset-fashion-mnist", False)
    empty(named)
    monkeypatch.setenv("PATH", "")
    assert locate() == (SAMPLE, "sample in the repository", True)


def test_argument_wins_over_environment(tmp_path, files, monkeypatch):
    monkeypatch.setenv("CNN_TF_DATA", str(put(tmp_path / "environment", files)))
    named = put(tmp_path / "argument", files)
    assert locate(named) == (named, "folder argument", False)
    assert FashionMNIST(str(named)).source == locate(named)


def test_empty_environment_variable_names_no_folder(files, cache, monkeypatch):
    monkeypatch.setenv("CNN_TF_DATA", "")
    assert locate(put(cache, files)).folder == cache
    assert locate().origin == "Keras cache"


def test_cache_is_the_one_keras_uses():
    config = pytest.importorskip("keras.src.backend.config")
    assert data.keras_home() == Path(config.keras_home())


def test_nothing_found_is_one_error_with_all_that_was_tried(tmp_path, files, cache):
    with pytest.raises(FileNotFoundError) as caught:
        locate(tmp_path / "named")
    heads = [line.split(",")[0] for line in str(caught.value).splitlines()[1:7]]
    assert heads == [
        "- folder argument",
        "- Keras cache",
        "- Debian package dataset-fashion-mnist",
        "- download",
        "- Debian package dataset-fashion-mnist",
        "- sample in the repository: not allowed (CNN_TF_SAMPLE is not set)",
    ]
    for detail in (cache, f"no {TRAIN}.gz", "Connection refused", "not both on PATH"):
        assert str(detail) in str(caught.value)
    assert "set CNN_TF_DATA" in str(caught.value).splitlines()[-1]


def test_no_download_when_not_allowed(files, server, debian):
    with pytest.raises(FileNotFoundError, match=r"download: not allowed \(download=False\)"):
        FashionMNIST(download=False)
    assert server.requests == 0
    assert not debian.exists()


# Faults of files


def truncated(packed):
    return packed[: len(packed) // 2]


def one_bit_off(packed):
    content = bytearray(gzip.decompress(packed))
    content[-1] ^= 1
    return gzip.compress(content)


def not_gzip(packed):
    return b"<!DOCTYPE html>"


FAULTS = pytest.mark.parametrize(
    ("fault", "message"),
    [
        (truncated, "expected a whole gzip file, got: Compressed file ended"),
        (one_bit_off, "expected SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}"),
        (not_gzip, "expected a whole gzip file, got: Not a gzipped file"),
        (lambda packed: b"", r"expected SHA-256 [0-9a-f]{64}, got e3b0c442.* \(0 bytes\)"),
    ],
)


@FAULTS
def test_corrupt_file_in_the_named_folder_raises_at_once(tmp_path, files, cache, fault, message):
    put(cache, files)
    path = put(tmp_path / "named", files) / f"{TEST}.gz"
    path.write_bytes(fault(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{TEST}.gz: {message}.*Delete the file"):
        locate(tmp_path / "named")
    (tmp_path / "named" / f"{TRAIN}.gz").unlink()  # incomplete as well: no excuse
    with pytest.raises(ValueError, match=message):
        locate(tmp_path / "named")


@FAULTS
def test_corrupt_file_in_the_cache_is_replaced(files, cache, server, fault, message):
    path = put(cache, files) / f"{TRAIN}.gz"
    path.write_bytes(fault(path.read_bytes()))
    with pytest.raises(FileNotFoundError, match=f"Keras cache.*{message}"):
        locate(download=False)
    assert locate() == (cache, "download", False)
    assert locate() == (cache, "Keras cache", False)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (TRAIN, struct.pack(">4I", 2050, 0, 28, 28), r"expected .*\(2051, 28, 28\), got \(2050,"),
        (TRAIN, idx(np.zeros((2, 32, 32))), r"expected .*, 28\), got \(2051, 32, 32\)"),
        (TRAIN, idx(np.zeros((2, 28, 28)))[:-1], r"expected 2 items of \(28, 28\), got 1567 bytes"),
        (TRAIN_LABELS, idx(np.zeros((2, 28, 28))), r"expected .* \(2049,\), got \(2051,\)"),
        (TRAIN_LABELS, b"\0\0", r"expected .* \(2049,\), got \(0,\)"),
        (TRAIN_LABELS, idx(np.arange(11)), "expected labels from 0 to 9, got 10"),
    ],
)
def test_wrong_content_under_the_right_hash(tmp_path, files, accept, name, content, message):
    accept(files | {name: content})
    with pytest.raises(ValueError, match=f"{name}.gz: {message}"):
        locate(put(tmp_path / "named", files | {name: content}))


def test_unwritable_folder_is_said_before_anything_is_fetched(tmp_path, files, server, debian):
    (tmp_path / "file").write_text("no folder can be made below a file, not even by root")
    with pytest.raises(FileNotFoundError, match=r"- download, .*/file/named: .*Not a directory"):
        locate(tmp_path / "file" / "named")
    assert server.requests == 0
    assert not debian.exists()


# Faults of the network


def test_download_lands_whole_and_at_once(tmp_path, files, cache, server):
    fresh = tmp_path / "not" / "there" / "yet"
    seen = []
    server.before = lambda: seen.extend(path.name[:10] for path in fresh.iterdir())
    loaded = FashionMNIST(fresh)
    assert loaded.source == (fresh, "download", False)
    assert server.requests == 4
    assert seen == [".fetching-"] * 4  # no file had its name before all were verified
    assert {path.name for path in fresh.iterdir()} == {f"{name}.gz" for name in files}
    assert not cache.exists()
    assert locate(fresh).origin == "folder argument"


@FAULTS
def test_corrupt_download_is_refused_and_leaves_nothing(cache, server, fault, message):
    path = server.folder / f"{TEST_LABELS}.gz"
    path.write_bytes(fault(path.read_bytes()))
    with pytest.raises(FileNotFoundError, match=f"- download, {cache}: .*{message}"):
        locate()
    assert list(cache.iterdir()) == []


def test_download_cut_short_is_refused(cache, server):
    server.promised_too_much = 1
    with pytest.raises(FileNotFoundError, match=r"- download, .*: IncompleteRead"):
        locate()
    assert list(cache.iterdir()) == []


def test_missing_on_the_server(cache, server):
    (server.folder / f"{TRAIN}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"- download, .*: HTTP Error 404"):
        locate()
    assert list(cache.iterdir()) == []


def test_silent_server_is_given_up(cache, server, monkeypatch):
    monkeypatch.setattr(data, "_TIMEOUT", 0.1)
    done = threading.Event()
    server.before = lambda: done.wait(10)
    with pytest.raises(FileNotFoundError, match=r"- download, .*: .*timed out"):
        locate()
    server.before = lambda: None
    done.set()


def test_four_processes_download_into_one_folder(tmp_path, files, server):
    # By path, for the speed: importing cnn_tf would import Keras four times.
    script = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("data", sys.argv[1])
sys.modules["data"] = data = importlib.util.module_from_spec(spec)
spec.loader.exec_module(data)
data._URL, data._FILES = sys.argv[2], json.loads(sys.argv[3])
print(data.FashionMNIST(sys.argv[4]).source.origin)
"""
    together = threading.Barrier(4)
    server.before = lambda: together.wait(20)
    shared = tmp_path / "shared"
    arguments = (data.__file__, data._URL, json.dumps(data._FILES), shared)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["download\n"] * 4
    assert server.requests == 16
    assert {path.name for path in shared.iterdir()} == {f"{name}.gz" for name in files}
    assert locate(shared).origin == "folder argument"


def test_package_without_root(files, cache, debian):
    assert locate() == (cache, "Debian package dataset-fashion-mnist", False)
    assert {path.name for path in cache.iterdir()} == {f"{name}.gz" for name in files}
    update, download = debian.read_text().splitlines()  # a failed update did not stop it
    assert update.endswith("update")
    assert download.endswith("download dataset-fashion-mnist")
    for line in (update, download):
        assert "-oDir::State::Lists=./lists -oDir::Cache=./cache" in line


def test_package_that_cannot_be_had_says_why(cache, debian):
    apt = debian.parent / "bin" / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: Temporary failure resolving' >&2; exit 100\n")
    with pytest.raises(FileNotFoundError, match=f"{cache}: E: Temporary failure resolving"):
        locate()
    assert list(cache.iterdir()) == []


def test_corrupt_package_is_refused(tmp_path, cache, debian):
    inside = tmp_path / "root" / data._PACKAGE_FOLDER.relative_to("/") / f"{TRAIN}.gz"
    inside.write_bytes(truncated(inside.read_bytes()))
    with pytest.raises(FileNotFoundError, match=f"{TRAIN}.gz: expected a whole gzip file"):
        locate()
    assert list(cache.iterdir()) == []


# The split


@pytest.fixture
def folder(tmp_path, files):
    return put(tmp_path / "named", files)


def numbers(split):
    return np.rint(split.images[:, 0, 0, 0] * 255).astype(int)


def test_parts_have_the_documented_form(folder):
    loaded = FashionMNIST(folder)
    for part, count in ((loaded.train, 50), (loaded.validation, 10), (loaded.test, 20)):
        assert part.images.shape == (count, 28, 28, 1)
        assert part.images.dtype == np.float32
        assert part.labels.shape == (count,)
        assert part.labels.dtype == np.int64
        np.testing.assert_array_equal(part.labels, numbers(part) % 10)
        expected = np.broadcast_to(numbers(part)[:, None, None, None] / 255, part.images.shape)
        np.testing.assert_allclose(part.images, expected, rtol=1e-6)
    assert loaded.class_names[3] == "Dress"
    assert len(loaded.class_names) == 10
    assert repr(loaded) == "FashionMNIST(train=50, validation=10, test=20, from folder argument)"


def test_split_is_disjoint_complete_and_leaves_the_test_set(folder):
    loaded = FashionMNIST(folder, validation_split=0.25)
    train, validation = numbers(loaded.train), numbers(loaded.validation)
    assert len(validation) == 15
    assert sorted([*train, *validation]) == list(range(60))
    np.testing.assert_array_equal(numbers(loaded.test), range(20))


def test_split_depends_on_the_seed_alone(folder):
    first, again, other = (FashionMNIST(folder, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.train.images, again.train.images)
    np.testing.assert_array_equal(first.validation.labels, again.validation.labels)
    assert set(numbers(first.validation)) != set(numbers(other.validation))
    # Literals, so that another machine or another NumPy that splits otherwise is noticed.
    assert numbers(first.validation).tolist() == [16, 27, 20, 8, 42, 34, 51, 4, 52, 57]


def test_each_file_is_unpacked_and_hashed_once(folder, monkeypatch):
    calls = []
    for module, name in ((gzip, "decompress"), (hashlib, "sha256")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda content, f=original, n=name: (calls.append(n), f(content))[1]
        )
    FashionMNIST(folder)
    assert sorted(calls) == ["decompress"] * 4 + ["sha256"] * 4


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), float("inf"), True, False])
def test_share_outside_0_1(share):
    with pytest.raises(ValueError, match=r"validation_split between 0 and 1, such as 1/6; got"):
        FashionMNIST(validation_split=share)


@pytest.mark.parametrize(("share", "count"), [(0.001, 0), (0.999, 60)])
def test_share_that_leaves_a_part_empty(folder, share, count):
    with pytest.raises(ValueError, match=f"got {share}, which holds out {count} of the 60 images"):
        FashionMNIST(folder, validation_split=share)


@pytest.mark.parametrize("share", ["0.5", None, [0.5], 1j])
def test_share_that_is_no_number(share):
    with pytest.raises(TypeError, match=r"such as 1/6; got .*, which is not a number"):
        FashionMNIST(validation_split=share)


# The sample and the full data


@pytest.mark.parametrize("value", [None, ""])
def test_sample_is_refused_unless_asked_for(files, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv("CNN_TF_SAMPLE", value)
    with pytest.raises(FileNotFoundError, match=r"sample .* not allowed \(CNN_TF_SAMPLE"):
        locate()


def test_sample(files, monkeypatch):
    monkeypatch.setenv("CNN_TF_SAMPLE", str(SAMPLE))
    loaded = FashionMNIST()
    assert loaded.source == (SAMPLE, "sample in the repository", True)
    labels = np.concatenate([loaded.train.labels, loaded.validation.labels])
    assert np.bincount(labels).tolist() == [600] * 10
    assert np.bincount(loaded.test.labels).tolist() == [100] * 10
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 3_000_000


@pytest.fixture
def full(monkeypatch):
    monkeypatch.delenv("CNN_TF_SAMPLE", raising=False)
    try:
        return FashionMNIST(download=False)
    except FileNotFoundError as error:
        if "SHA-256" in str(error) or os.environ.get("CNN_TF_CI"):
            raise
        pytest.skip("the full data is not on this machine")


def test_full_data(full):
    assert not full.source.is_sample
    assert [len(part.labels) for part in (full.train, full.validation, full.test)] == [
        *(50_000, 10_000, 10_000)
    ]
    labels = np.concatenate([full.train.labels, full.validation.labels])
    assert np.bincount(labels).tolist() == [6_000] * 10
    assert np.bincount(full.test.labels).tolist() == [1_000] * 10


def test_sample_comes_from_the_full_data(full):
    spec = importlib.util.spec_from_file_location("make_sample", ROOT / "tools" / "make_sample.py")
    make_sample = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_sample)
    made = make_sample.sample_of(full.source.folder, "train", each=600)
    made |= make_sample.sample_of(full.source.folder, "t10k", each=100)
    for name, content in made.items():
        assert gzip.decompress((SAMPLE / f"{name}.gz").read_bytes()) == content


def test_grid_shows_training_pictures_of_each_class_by_name(monkeypatch):
    monkeypatch.setenv("CNN_TF_SAMPLE", str(SAMPLE))
    loaded = FashionMNIST(download=False)
    figure = loaded.grid(3)
    assert figure.svg.count("<image ") == 30
    names = [name for name in loaded.class_names for _ in range(3)]
    assert figure.alt == f"30 pictures: {', '.join(names)}."
