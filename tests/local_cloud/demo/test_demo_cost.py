import io
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local_cloud.demo.call_log import TrafficCallLog
from local_cloud.demo.flow_results import DemoResult
from local_cloud.demo.platform_requests import RequestMeter
from local_cloud.demo.report import Report, print_summary, read_documented_report, write_reports
from local_cloud.tenant.core.profiles import Profile
from tests.local_cloud.demo.test_demo_result import RETIRED
from tests.local_cloud.demo.test_demo_texts import CountingTenant


def build_report(profile: Profile, *, waits: int, documented: dict[str, Any]) -> Report:
    meter = RequestMeter(CountingTenant(), parts={"all of it": Counter(dataverse=10 * waits)})  # type: ignore[arg-type]
    return Report(
        outcome=DemoResult(flows=[RETIRED], waits=waits),
        account=TrafficCallLog(),
        meter=meter,
        seconds=float(waits),
        notes=[],
        ended_at=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
        profile=profile,
        documented=documented,
    )


def print_platform_line(one: Report) -> str:
    text = io.StringIO()
    print_summary(Console(file=text, width=200), one)
    [line] = [line for line in text.getvalue().splitlines() if line.startswith("Platform as")]
    return " ".join(line.split())


@pytest.fixture
def documented(tmp_path: Path) -> dict[str, Any]:
    write_reports(build_report(Profile.DOCUMENTED, waits=3, documented={}), tmp_path)
    return read_documented_report(tmp_path)


def test_summary_compares_the_adversarial_platform_with_the_documented_one(
    documented: dict[str, Any],
) -> None:
    told = print_platform_line(build_report(Profile.ADVERSARIAL, waits=5, documented=documented))

    assert told == (
        "Platform as adversarial 5 waits, 50 platform calls, 5.0 s "
        "(as documented: 3 waits, 30 platform calls, 3.0 s)"
    )


def test_summary_is_not_compared_with_another_scenario(
    documented: dict[str, Any], tmp_path: Path
) -> None:
    other = documented | {"flows": documented["flows"] * 2}
    missing = read_documented_report(tmp_path / "nowhere")

    for beside in (other, missing):
        told = print_platform_line(build_report(Profile.ADVERSARIAL, waits=5, documented=beside))
        assert "3 waits" not in told
        assert "5 waits" in told
