import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.telemetry import read_log_alerts, read_workbook_queries

#: Folder with the package `@kusto/language-service-next`; CI installs it with npm.
KUSTO_NPM = os.environ.get("KUSTO_NPM")
pytestmark = [
    pytest.mark.npm,
    pytest.mark.skipif(not KUSTO_NPM, reason="needs KUSTO_NPM, see .ci/run"),
]
ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("kusto_parser.cjs")
#: Columns of Application Insights that the queries use, as its tables have them.
_COMMON = (
    "timestamp: datetime, severityLevel: int, customDimensions: dynamic, operation_Name: string"
)
TABLES = {
    "traces": f"({_COMMON}, message: string)",
    "exceptions": f"({_COMMON}, outerMessage: string)",
    "requests": f"({_COMMON}, url: string, success: string)",
    "dependencies": (
        f"({_COMMON}, operation_Id: string, target: string, name: string, success: string,"
        " type: string, resultCode: string, duration: real)"
    ),
    "customMetrics": (
        f"({_COMMON}, name: string, value: real, valueCount: int, valueSum: real, valueMin: real,"
        " valueMax: real)"
    ),
}


def read_documented_queries() -> list[str]:
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    return [
        query
        for page in pages
        for query in re.findall(r"```kusto\n(.*?)```", page.read_text(), re.DOTALL)
    ]


def run_parser(queries: Sequence[str]) -> list[list[str]]:
    """Return the diagnostics of each query. Runs Microsoft's parser in Node.js."""
    assert KUSTO_NPM
    done = subprocess.run(
        ["node", SCRIPT, KUSTO_NPM],
        input=json.dumps({"tables": TABLES, "queries": queries}),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_every_query_is_valid() -> None:
    queries = [*(one.asks for one in read_log_alerts().values()), *read_documented_queries()]
    queries += read_workbook_queries().values()

    assert len(queries) > 15
    assert [one for one in zip(queries, run_parser(queries), strict=True) if one[1]] == []


def test_parser_reports_a_wrong_column_and_a_wrong_operator() -> None:
    """Otherwise, the test of all queries could not fail."""
    column, operator = run_parser(["traces | where nothing == 1", "traces | wher true"])

    assert "'nothing'" in column[0]
    assert operator
