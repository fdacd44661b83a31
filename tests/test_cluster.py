"""The page "From a laptop to a cluster": its job files run, and its model adds up."""

import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import keras
import kubernetes_validate
import numpy as np
import pytest
import yaml

from benchmarks import cluster
from cnn_tf import LeNet
from tests.test_distribution import end, free_address

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "book"
JOBS = BOOK / "jobs"
PROGRAMS = Path(sys.executable).parent
SBATCH = JOBS / "lenet.sbatch"
SERVICE, JOB = yaml.safe_load_all((JOBS / "lenet-job.yaml").read_text("utf-8"))
POD = JOB["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


@pytest.fixture
def short(tmp_path):
    """Words that count in place of those of the job files: a small network, and one epoch."""
    recipe = tmp_path / "small.json"
    recipe.write_text('{"arguments": {"filters": [2], "units": []}}')
    return [recipe, "--epochs=1", "--json"]


def environment(*before):
    """That of a process without accelerators, and without what says that it is one of several."""
    kept = {k: it for k, it in os.environ.items() if not k.startswith(("KERAS_", "SLURM_"))}
    path = os.pathsep.join(map(str, [*before, PROGRAMS, os.environ["PATH"]]))
    return kept | {"PATH": path, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}


# --- Slurm ----------------------------------------------------------------------------------------

SCONTROL = """#!/bin/bash
[ "$*" = "show hostnames 127.0.0.[1-2]" ] && printf '127.0.0.%d\\n' 1 2
"""
# The first call fails, as if a process had died. The next one starts two.
SRUN = """#!/bin/bash
echo "$*" >>calls
[ "$(wc -l <calls)" -gt 1 ] || exit 1
while [[ $1 == --* ]]; do shift; done
status=0
for process in 0 1; do
    SLURM_PROCID=$process SLURM_LOCALID=$process "$@" &
done
for pid in $(jobs -p); do wait "$pid" || status=$?; done
exit $status
"""


def test_the_shell_of_the_slurm_file_is_sound():
    done = subprocess.run([PROGRAMS / "shellcheck", SBATCH], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    subprocess.run(["bash", "-n", SBATCH], check=True)


def test_slurm_reads_its_options_before_the_first_command():
    lines = SBATCH.read_text("utf-8").splitlines()
    assert lines[0] == "#!/bin/bash"
    head = lines[1 : lines.index("")]
    assert len(head) == sum(line.startswith("#SBATCH") for line in lines)
    options = dict(re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line).groups() for line in head)
    assert options["gpus-per-node"] == options["ntasks-per-node"]  # a process for each GPU
    assert int(options["nodes"]) > 1


def number_of_a_job():
    """One whose port, which follows from the number, is free."""
    while True:
        number = random.randrange(4096)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", 61440 + number))
            return number


@pytest.mark.slow
def test_the_slurm_file_starts_processes_that_train_together(tmp_path, short, need):
    need("jax")
    commands = tmp_path / "commands"
    commands.mkdir()
    for name, content in (("scontrol", SCONTROL), ("srun", SRUN)):
        (commands / name).write_text(content)
        (commands / name).chmod(0o755)
    given = {
        "SLURM_JOB_ID": str(number_of_a_job()),
        "SLURM_JOB_NODELIST": "127.0.0.[1-2]",
        "SLURM_STEP_NODELIST": "127.0.0.[1-2]",
        "SLURM_NTASKS": "2",
        "SLURM_CPUS_PER_TASK": "1",
    }
    done = subprocess.run(
        ["bash", SBATCH, *short],
        cwd=tmp_path,
        env=environment(commands) | given,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert '"devices": 2' in done.stdout
    assert '"process": 1' in done.stdout
    assert (tmp_path / "lenet" / "epoch-0001.npz").is_file()
    assert (tmp_path / "lenet.keras").is_file()
    first, second = (tmp_path / "calls").read_text("utf-8").splitlines()
    assert first == second
    assert first.startswith("--cpus-per-task=1 --kill-on-bad-exit=1 bash -c ")


# --- Kubernetes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", [SERVICE, JOB], ids=lambda it: it["kind"])
def test_kubernetes_knows_every_field_of_its_file(resource):
    kubernetes_validate.validate(resource, kubernetes_validate.latest_version(), strict=True)


def test_the_pods_find_one_another():
    spec, name = JOB["spec"], JOB["metadata"]["name"]
    given = {variable["name"]: variable.get("value") for variable in CONTAINER["env"]}
    assert spec["completionMode"] == "Indexed"
    processes = int(given["KERAS_DISTRIBUTION_NUM_PROCESSES"])
    assert spec["completions"] == spec["parallelism"] == processes > 1
    assert SERVICE["spec"]["clusterIP"] == "None"  # a headless one: it names each pod
    assert SERVICE["spec"]["selector"] == {"batch.kubernetes.io/job-name": name}
    assert POD["subdomain"] == SERVICE["metadata"]["name"]
    host, port = given["KERAS_DISTRIBUTION_JOB_ADDRESSES"].split(":")
    assert host == f"{name}-0.{POD['subdomain']}"
    assert 1024 <= int(port) < 65536


def test_what_the_pods_write_is_on_the_volume_that_they_share():
    (mount,), (volume,) = CONTAINER["volumeMounts"], POD["volumes"]
    assert mount["name"] == volume["name"]
    assert "persistentVolumeClaim" in volume
    options = dict(it.lstrip("-").split("=") for it in CONTAINER["args"])
    for option in ("checkpoints", "output"):
        assert options[option].startswith(f"{mount['mountPath']}/")


def in_a_pod(number, address, shared, short):
    """What an indexed job gives to the container of a pod."""
    given = {}
    for variable in CONTAINER["env"]:
        if variable["name"] == "CNN_TF_DATA":  # it is found as in the other tests
            continue
        if "value" in variable:
            given[variable["name"]] = variable["value"]
        else:
            path = variable["valueFrom"]["fieldRef"]["fieldPath"]
            assert path == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
            given[variable["name"]] = str(number)
    given["KERAS_DISTRIBUTION_JOB_ADDRESSES"] = address
    words = [*CONTAINER["command"], *CONTAINER["args"]]
    return given, [*(word.replace("=/shared/", f"={shared}/") for word in words), *short]


@pytest.mark.slow
def test_the_container_of_the_kubernetes_file_trains_with_the_others(tmp_path, short, need):
    need("jax")
    address, started = free_address(), []
    for number in range(JOB["spec"]["completions"]):
        given, (program, *words) = in_a_pod(number, address, tmp_path, short)
        with (tmp_path / f"pod-{number}.log").open("w") as log:
            started.append(
                subprocess.Popen(
                    [shutil.which(program, path=environment()["PATH"]), *words],
                    cwd=tmp_path,
                    env=environment() | given,
                    stdout=log,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
    for code, told in [end(process) for process in started]:
        assert code == 0, told
    first, second = (
        json.loads((tmp_path / f"pod-{number}.log").read_text("utf-8")) for number in range(2)
    )
    assert first["devices"] == 2
    assert second == {"process": 1}
    assert (tmp_path / "lenet" / "epoch-0001.npz").is_file()
    assert (tmp_path / "lenet.keras").is_file()


def test_the_image_has_what_the_jobs_need():
    extras = re.search(r"/cnn_tf\[([\w,]+)\]", (JOBS / "Dockerfile").read_text("utf-8"))[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"cli", "jax"} == set(extras.split(",")) <= set(project["optional-dependencies"])


def test_each_job_file_is_shown_and_can_be_downloaded():
    text = (BOOK / "cluster.md").read_text("utf-8")
    for path in JOBS.iterdir():
        assert f"```{{literalinclude}} jobs/{path.name}\n" in text
        assert f"{{download}}`{path.name} <jobs/{path.name}>`" in text


# --- The record, and the model --------------------------------------------------------------------


def test_the_record_has_every_series():
    record = json.loads((ROOT / "benchmarks" / "results" / "jax.json").read_text("utf-8"))
    found = {each["name"]: each for each in record["cluster"]}
    for number, sizes in cluster.PICTURES.items():
        assert found[f"step of LeNet by {number}"]["sizes"] == list(sizes)
    assert found["all-reduce"]["sizes"] == list(cluster.NUMBERS)
    assert found["all-reduce, array by array"]["sizes"] == [cluster.LENET]
    for each in found.values():
        assert each["rounds"] >= 20
        for median, (low, high) in zip(each["medians"], each["quartiles"], strict=True):
            assert 0 < low <= median <= high


@pytest.mark.slow
def test_two_processes_are_measured(need):
    need("jax")
    (series,) = cluster.run_all(2, lambda title: "array by array" in title)
    kept = series.as_json()
    assert (kept["processes"], kept["rounds"], kept["sizes"]) == (2, 2, [61_706])
    assert kept["medians"][0] > 0
    assert "all-reduce, array by array" in str(series)


@pytest.fixture(scope="module")
def page():
    """The names that the cells of the page leave behind, run in their order."""
    text = (BOOK / "cluster.md").read_text("utf-8")
    cells = re.findall(r"^```\{code-cell\}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    options = re.compile(r"\A(?:---\n.*?^---\n|:[^\n]*\n)", re.DOTALL | re.MULTILINE)
    names = {}
    with contextlib.chdir(BOOK):
        for cell in cells:
            exec(compile(options.sub("", cell), "cluster.md", "exec"), names)
    return names


def test_a_ring_takes_as_long_as_its_rounds(page):
    all_reduce = page["all_reduce"]
    assert all_reduce(1, size=100, arrays=3, latency=5, bandwidth=2) == 0
    # Two workers: each half goes there and comes back as a sum.
    assert all_reduce(2, size=100, arrays=1, latency=0, bandwidth=2) == 2 * 50 / 2
    assert all_reduce(2, size=0, arrays=1, latency=5, bandwidth=2) == 2 * 5
    # Four: three rounds, and three more, with a quarter in each.
    assert all_reduce(4, size=100, arrays=3, latency=5, bandwidth=2) == 6 * (3 * 5 + 25 / 2)


def test_a_step_is_arithmetic_and_a_sum(page):
    step, networks = page["step"], page["networks"]
    alone = page["per_step"] + 1024 * networks["LeNet"]["seconds"]
    assert step("LeNet", 1, 1024) == pytest.approx(alone)
    assert page["per_step"] > 0
    whole = page["all_reduce"](1024, networks["LeNet"]["size"], **page["network"])
    assert step("LeNet", 1024, 1024, speed=np.inf) == pytest.approx(page["per_step"] + whole)


def test_the_networks_have_as_many_weights_as_the_page_says(page):
    models = {"LeNet": LeNet(), "ResNet-50": keras.applications.ResNet50(weights=None)}
    assert len(models["LeNet"].trainable_weights) == 10
    for name, network in page["networks"].items():
        assert network["size"] == 4 * models[name].count_params()
