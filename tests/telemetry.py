"""Build the tables of Application Insights from the log lines of a local Functions host, and run
alerts on them.

A line of the app has the category `Function.NAME.User`. A failed run is an exception in two
categories of the host. A message is cut at 32,768 UTF-16 units. Lines that the host does not
forward make no row.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import duckdb_kql

from tests.unit.deployed import Resource, find_resources

_LEVELS = {"DEBUG": 0, "INFO": 1, "WARNING": 2, "ERROR": 3, "CRITICAL": 4}
_LONGEST_MESSAGE = 32_768
_COLUMNS = (
    "timestamp TIMESTAMPTZ, severityLevel INTEGER, customDimensions JSON, operation_Name VARCHAR"
)
_TABLES = {
    "traces": f"{_COLUMNS}, message VARCHAR",
    "exceptions": f"{_COLUMNS}, outerMessage VARCHAR",
    # `success` is text in this table and a truth value in its successor, AppRequests.
    "requests": f"{_COLUMNS}, url VARCHAR, success VARCHAR",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    #: In parentheses in its rule's name, without the token.
    name: str
    #: A KQL query, or the name of a metric of Service Bus.
    asks: str
    #: Queue of the metric; empty: all queues.
    queue: str
    operator: str
    threshold: int

    def is_raised_by(self, value: int) -> bool:
        """Return whether this number of rows, or this value of the metric, raises the alert."""
        is_above = self.operator == "GreaterThan"
        return value > self.threshold if is_above else value < self.threshold


def read_log_alerts() -> dict[str, Alert]:
    """Return by name the alerts that run a query on log lines."""
    alerts = [
        _build_alert(one, "query")
        for one in find_resources("Microsoft.Insights/scheduledQueryRules")
    ]
    return {one.name: one for one in alerts}


def read_metric_alerts() -> dict[str, Alert]:
    """Return by name the alerts on a metric of Service Bus."""
    alerts = [
        _build_alert(one, "metricName") for one in find_resources("Microsoft.Insights/metricAlerts")
    ]
    return {one.name: one for one in alerts}


def read_workbook_queries() -> dict[str, str]:
    """Return by title the queries of the Azure workbook in infra/."""
    [workbook] = find_resources("Microsoft.Insights/workbooks")
    items = json.loads(workbook["properties"]["serializedData"])["items"]
    return {
        item["content"]["title"]: item["content"]["query"] for item in items if item["type"] == 3
    }


class Telemetry:
    """The tables of an Application Insights resource, filled from the log of a Functions host."""

    def __init__(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Fill the tables with the lines that a Functions host has written to stderr, each as
        JSON.
        """
        self._connection: duckdb.DuckDBPyConnection = duckdb_kql.connect()
        for table, columns in _TABLES.items():
            self._connection.execute(f"CREATE TABLE {table} ({columns})")
        for line in lines:
            self._add_line(line)

    def count(self, query: str) -> int:
        [(number,)] = duckdb_kql.kql(self._connection, f"{query}\n| count").fetchall()
        return int(number)

    def find_messages(self, query: str) -> list[str]:
        """Return the messages that a query on the table `traces` finds, the oldest first."""
        project = f"{query}\n| sort by timestamp asc\n| project message"
        return [str(text) for (text,) in duckdb_kql.kql(self._connection, project).fetchall()]

    def list_raised_alerts(self) -> set[str]:
        """Return the names of the log alerts that are raised."""
        return {
            one.name for one in read_log_alerts().values() if one.is_raised_by(self.count(one.asks))
        }

    def _add_line(self, line: Mapping[str, Any]) -> None:
        if "dropped" in line:
            return
        if not line["logger"].startswith("host"):
            self._insert_row(
                "traces", line, f"Function.{line['function']}.User", _cut_message(line["message"])
            )
        elif line["message"] in ("function succeeded", "function failed"):
            has_failed = line["message"] == "function failed"
            url = f"https://app/api/{line['function']}" if line["trigger"] == "http" else ""
            self._insert_row("requests", line, "Host.Results", url, str(not has_failed))
            for category in ("Host.Results", f"Function.{line['function']}") if has_failed else ():
                self._insert_row("exceptions", line, category, line["failure"])

    def _insert_row(self, table: str, line: Mapping[str, Any], category: str, *more: str) -> None:
        dimensions = json.dumps({"Category": category, "InvocationId": line["invocation_id"]})
        row = (line["time"], _LEVELS[line["level"]], dimensions, line["function"], *more)
        marks = ", ".join("?" for _ in row)
        self._connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608


def _cut_message(message: str) -> str:
    return message.encode("utf-16-le")[: 2 * _LONGEST_MESSAGE].decode("utf-16-le", "ignore")


def _build_alert(rule: Resource, asks: str) -> Alert:
    [criterion] = rule["properties"]["criteria"]["allOf"]
    queues = [value for one in criterion.get("dimensions", ()) for value in one["values"]]
    return Alert(
        name=rule["name"].rpartition("(")[2].rpartition("-")[0],
        asks=criterion[asks],
        queue=queues[0] if queues else "",
        operator=criterion["operator"],
        threshold=criterion["threshold"],
    )
