"""Build the exporters of telemetry that the settings select.

The exporters take a fifth of a second to import, so this module is imported only when needed.
"""

from typing import TYPE_CHECKING, Any

from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.adapters.telemetry.open_telemetry import OpenTelemetry


def build_telemetry(settings: Settings) -> "OpenTelemetry":
    """Return telemetry that is sent to the OTLP endpoint, or else to Application Insights."""
    if settings.otlp_endpoint:
        return _build_telemetry_for_collector()
    from azure.identity import ManagedIdentityCredential

    identity = ManagedIdentityCredential(client_id=settings.client_id or None)
    return build_telemetry_for_insights(settings.insights_connection, identity)


def _build_telemetry_for_collector() -> "OpenTelemetry":
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from shared.adapters.telemetry.open_telemetry import OpenTelemetry

    # The endpoint is the exporters' own setting.
    return OpenTelemetry(OTLPSpanExporter(), PeriodicExportingMetricReader(OTLPMetricExporter()))


def build_telemetry_for_insights(
    connection: str, credential: "TokenCredential | None"
) -> "OpenTelemetry":
    """Return telemetry that is sent to Application Insights.

    Raises `ValueError` if the connection string is malformed.
    """
    from azure.core.pipeline.policies import SansIOHTTPPolicy
    from azure.monitor.opentelemetry.exporter import (
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from shared.adapters.telemetry.open_telemetry import OpenTelemetry

    options: dict[str, Any] = {
        "connection_string": connection,
        "credential": credential,
        # An instance keeps no disk, and a line for each batch would be no line of the app.
        "disable_offline_storage": True,
        "http_logging_policy": SansIOHTTPPolicy(),
    }
    return OpenTelemetry(
        AzureMonitorTraceExporter(**options),
        PeriodicExportingMetricReader(AzureMonitorMetricExporter(**options)),
    )
