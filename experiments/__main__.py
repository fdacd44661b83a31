"""Train what the records lack: each training once, several at a time, each kept when it is done.

python -m experiments [--jobs N] [NAME ...]      only the experiments named; --list names all

It can be stopped at any moment, by a signal or by the plug, and goes on where it stopped.
"""

import argparse
import os
import sys

# Before Keras is imported. One thread: several training runs at a time are faster so.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from experiments import runner
from experiments.declarations import EXPERIMENTS


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="training runs at a time")
    parser.add_argument("--list", action="store_true", help="list the experiments")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    names = arguments.names or list(EXPERIMENTS)
    if arguments.jobs < 1:
        parser.error(f"--jobs must be at least 1. Received: {arguments.jobs}.")
    if arguments.list:
        for name, experiment in EXPERIMENTS.items():
            size = f"{len(experiment.recipes)} recipes, {len(experiment.seeds)} seeds"
            print(f"{name}: {experiment.question} ({size})")
        return 0
    try:
        failed = runner.train_missing(names, arguments.jobs)
    except (ValueError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
