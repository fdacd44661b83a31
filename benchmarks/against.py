"""What has become slower than in an earlier record."""

import json
from pathlib import Path

from benchmarks.measure import Comparison

ALLOWED = 1.05


def read_ratios(record: Path, library: str) -> dict[str, float]:
    """Read the ratio of each comparison in a record.

    Args:
        record: A file that the benchmarks have written, or a folder of such files.
        library: `"onednn"` or `"eigen"`, which file of a folder to read.

    Raises:
        ValueError: There is no such file, or it holds something else.
    """
    path = record / f"{library}.json" if record.is_dir() else record
    try:
        content = json.loads(path.read_text("utf-8"))
        kinds = (content.get(kind, []) for kind in ("comparisons", "layers", "networks"))
        return {each["title"]: float(each["ratio"]) for kind in kinds for each in kind}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"Expected a record of benchmarks, such as benchmarks/results/{library}.json, or a "
            f"folder of them. Received: {path}, {type(error).__name__}: {error}."
        ) from None


def is_slower(comparison: Comparison, before: float) -> bool:
    """Whether the ratio has grown by more than 5 %, in three quarters of the rounds too."""
    return comparison.ratio > ALLOWED * before and comparison.quartiles[0] > before
