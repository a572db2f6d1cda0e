"""Registers the functions of the app, nothing else. Azure Functions finds `app` here."""

import azure.functions as func

from functions import (
    assessments_api,
    attention_api,
    audit_api,
    dashboard_api,
    decisions_api,
    deletions_api,
    doctor_api,
    environment_jobs,
    environments_api,
    evidence_api,
    flow_jobs,
    function_key,
    health_api,
    key_events,
    keys_api,
    kill_switch_api,
    network_api,
    openapi_api,
    policy_events,
    remediations_api,
    repairs_api,
    run_archives_api,
    timers,
)
from shared.logging_redaction import install_redaction
from shared.settings import AccessSettings

install_redaction()

#: Who calls is decided in `functions/principals.py`; the host asks nobody for a key.
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for _module in (
    key_events,
    policy_events,
    environment_jobs,
    flow_jobs,
    timers,
    environments_api,
    assessments_api,
    remediations_api,
    run_archives_api,
    evidence_api,
    openapi_api,
    decisions_api,
    deletions_api,
    network_api,
    keys_api,
    repairs_api,
    kill_switch_api,
    attention_api,
    audit_api,
    dashboard_api,
    health_api,
    doctor_api,
):
    app.register_functions(_module.blueprint)
if AccessSettings().function_key_roles:
    app.register_functions(function_key.blueprint)
