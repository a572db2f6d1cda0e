import json
import re
from pathlib import Path

import duckdb
import duckdb_kql
import pytest

from tests.telemetry import read_workbook_queries
from tests.unit.deployed import find_resources

ROOT = Path(__file__).parents[2]
QUERIES = read_workbook_queries()


@pytest.fixture
def tables() -> duckdb.DuckDBPyConnection:
    """Return a database with two tables of Application Insights."""
    connection: duckdb.DuckDBPyConnection = duckdb_kql.connect()
    connection.execute(
        "CREATE TABLE customMetrics (timestamp TIMESTAMPTZ, name VARCHAR, value DOUBLE,"
        " valueCount INTEGER, valueSum DOUBLE, customDimensions JSON)"
    )
    connection.execute(
        "CREATE TABLE dependencies (timestamp TIMESTAMPTZ, operation_Id VARCHAR, target VARCHAR,"
        " name VARCHAR, type VARCHAR, success VARCHAR, resultCode VARCHAR, duration DOUBLE,"
        " customDimensions JSON)"
    )
    labels = {"state": "copied", "service": "Flow service", "status": "429", "reason": "throttled"}
    for name in find_recorded_metrics():
        row = (name, json.dumps(labels))
        connection.execute("INSERT INTO customMetrics VALUES (now(), ?, 7200, 1, 7200, ?)", row)
    for kind, success, dimensions in (
        ("HTTP", "False", {}),
        ("InProc", "True", {"cmk.flow": "f-1", "cmk.state": "copied"}),
    ):
        span = ("t-1", "host", "GET /v2/flows", kind, success, "429", json.dumps(dimensions))
        connection.execute(
            "INSERT INTO dependencies VALUES (now(), ?, ?, ?, ?, ?, ?, 2000, ?)", span
        )
    return connection


def find_recorded_metrics() -> set[str]:
    code = "\n".join(path.read_text() for path in (ROOT / "shared").rglob("*.py"))
    return set(re.findall(r"(?:\.count|\.measure|\breport)\(\s*\"(cmk\.[\w.]+)\"", code))


def test_every_metric_is_shown_and_documented() -> None:
    """The workbook omits the duration of requests, which is for a person's own queries."""
    read = set(re.findall(r"name == '([\w.]+)'", " ".join(QUERIES.values())))
    documented = set(
        re.findall(r"^\| `(cmk\.[\w.]+)`", (ROOT / "docs/telemetry.md").read_text(), re.M)
    )

    assert read | {"cmk.platform.seconds"} == find_recorded_metrics() == documented


@pytest.mark.parametrize("title", QUERIES)
def test_query_finds_what_the_app_records(title: str, tables: duckdb.DuckDBPyConnection) -> None:
    assert len(duckdb_kql.kql(tables, QUERIES[title]).fetchall()) == 1


@pytest.mark.parametrize("given", ["everything", "open"])
def test_workbook_belongs_to_application_insights(given: str) -> None:
    """The workbook is found on the page of Application Insights, by everyone who may read it."""
    [workbook] = find_resources("Microsoft.Insights/workbooks", given)

    assert workbook["kind"] == "shared"
    assert "insightsId" in workbook["properties"]["sourceId"]
