"""API: download the evidence for a remediation."""

import azure.functions as func

from functions.endpoints import ApiRequest, endpoint
from functions.evidence_file import create_evidence_file
from functions.http_headers import DIGEST
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import build_download_response
from shared.bootstrap import services
from shared.domain.principal import Role
from shared.use_cases.collect_evidence import read_evidence

ZIP = "application/zip"


@endpoint(role=Role.READER, media_types=(ZIP,), answer_headers=(DIGEST,))
async def show_evidence(call: ApiRequest[NoQuery, NoBody]) -> func.HttpResponse:
    """Return the evidence for a remediation as a zip file. Reads stored rows and the archive."""
    evidence = await read_evidence(services(), call.id.lower())
    name = f"evidence-{evidence.remediation.id}.zip"
    return build_download_response(await create_evidence_file(evidence), ZIP, name)
