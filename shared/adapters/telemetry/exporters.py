"""Build the exporters that the settings ask for. Their imports take a fifth of a second."""

from typing import TYPE_CHECKING

from shared.settings import Settings

if TYPE_CHECKING:
    from shared.adapters.telemetry.open_telemetry import OpenTelemetry


def build_telemetry(settings: Settings) -> "OpenTelemetry":
    """Return telemetry that is sent to the OTLP endpoint, or else to Application Insights."""
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from shared.adapters.telemetry.open_telemetry import OpenTelemetry

    if settings.otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OpenTelemetry(
            OTLPSpanExporter(), PeriodicExportingMetricReader(OTLPMetricExporter())
        )
    from azure.identity import ManagedIdentityCredential
    from azure.monitor.opentelemetry.exporter import (
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )

    options = {
        "connection_string": settings.insights_connection,
        "credential": ManagedIdentityCredential(client_id=settings.client_id or None),
        # No copies of unsent telemetry on the disk, and no statistics to Microsoft.
        "disable_offline_storage": True,
    }
    return OpenTelemetry(
        AzureMonitorTraceExporter(**options),
        PeriodicExportingMetricReader(AzureMonitorMetricExporter(**options)),
    )
