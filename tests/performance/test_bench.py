from pathlib import Path

import pytest

from tests.performance import bench_report
from tests.performance.bench_report import BEGIN, END, write_report
from tests.performance.over_the_wire import Run, migrate_with_app, migrate_with_script

#: Flows that the parallel script moves at a time are a part of all.
RUN = Run(flows=3, at_once=2)
CALLS = {"flow_service": 27, "dataverse": 27, "resource_manager": 12, "key_vault": 0, "bap": 0}


@pytest.mark.e2e
async def test_script_and_app_migrate_every_flow() -> None:
    hand, app = await migrate_with_script(RUN), await migrate_with_app(RUN)

    assert hand.calls == CALLS
    assert hand.restarts == RUN.flows
    assert app.calls["flow_service"] >= RUN.flows
    assert hand.cpu_seconds
    assert app.cpu_seconds


def test_report_compares_each_run_with_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN}old\n{END}\nafter\n")
    monkeypatch.setattr(bench_report, "DOCUMENT", page)
    monkeypatch.setattr(bench_report, "CHARTS", tmp_path / "charts")
    wire = {"call_seconds": 0.05, "processes": 1, "calls": CALLS, "load": 0.5}
    wire |= {"host_cpu_seconds": 10.0, "tenant_cpu_seconds": 30.0}
    hand = {"what": "hand", "flows": 2, "seconds": 4.0, "cpu_seconds": 0.02, **wire}
    app = {"what": "app", "flows": 1000, "seconds": 250.0, "cpu_seconds": 40.0, **wire}
    busy = app | {"flows": 500, "load": 2.1}
    parallel = {
        "what": "parallel hand",
        "flows": 1000,
        "seconds": 300.0,
        "cpu_seconds": 9.0,
        **wire,
    }
    lost = {"what": "default", "flows": 1000, "failed": "its time was over"}
    machine = {"at": "today", "commit": "abc", "processors": 2, "model": "X"}

    write_report(
        {**machine, "python": "3.13", "load": 0.1, "results": [hand, parallel, app, busy, lost]}
    )

    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| 1,000 | 50 ms | 1 | 250.0 | 8.0 | 1.20 | 4.0 (3.0) | 30 | 0.1 | 0.5 |" in text
    assert "| 500 |" not in text
    assert "| 1.20 (1,000) | ≥ 1 (100), ≥ 1.5 (1,000) |" in text
    assert "Not measured: default, 1000 flows: its time was over" in text
    assert (tmp_path / "charts" / "wide.svg").is_file()
