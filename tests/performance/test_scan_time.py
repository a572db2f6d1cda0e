"""Test that a scan for many ids takes little longer than it takes to read the files."""

from pathlib import Path

from tests.performance.scan_time import PRESENT, measure_scan


def test_a_scan_for_ten_thousand_ids_takes_at_most_twice_the_time_of_reading(
    tmp_path: Path,
) -> None:
    """All ids are sought in one pass; `python -m tests.performance.scan_time` reads 100 MiB."""
    ratio, found = measure_scan(tmp_path, 20)

    assert found == PRESENT
    assert ratio <= 2, ratio
