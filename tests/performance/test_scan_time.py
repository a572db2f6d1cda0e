from pathlib import Path

from tests.performance.scan_time import PRESENT, measure_scan


def test_scan_for_10000_ids_takes_at_most_a_third_of_the_time_of_a_regular_expression(
    tmp_path: Path,
) -> None:
    ratio, found = measure_scan(tmp_path, 20)

    assert found == PRESENT
    assert ratio <= 1 / 3, ratio
