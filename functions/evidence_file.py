"""Write the evidence file of a remediation: a zip of JSON, CSV, a report and a manifest."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from functions.evidence_models import (
    FlowEvidenceLine,
    PlanItemEvidence,
    RemediationEvidence,
    UnreadableRows,
)
from functions.evidence_report import EvidenceReport
from functions.http_responses import ApiResponse
from shared.domain.audit_seal import SEALS_FILE, format_seal
from shared.domain.evidence_file import APPROVED_PLANS, AUDIT_DIFFERENCES, EvidenceFile
from shared.domain.jobs.run_archive import RunArchive
from shared.domain.plans.remediation import EnvironmentJob
from shared.domain.signature import format_signature
from shared.domain.trigger_urls.signatures import mask_signatures
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import NotFound
from shared.html_pages import read_style, render_template
from shared.use_cases.collect_evidence import EvidenceReader, FlowEvidence
from shared.use_cases.sign_content import try_to_sign, try_to_stamp

#: Maximum size of the run history in an evidence file, in bytes; the rest is listed as omitted.
MOST_RUN_BYTES = 64 * 1024 * 1024

_PAGE = Path(__file__).parent / "evidence.html.j2"
_OF_FLOW = ("environment_id", "original_id", "display_name")
_FLOW_COLUMNS = (
    *_OF_FLOW,
    "flow_name",
    "migration_method",
    "state",
    "step",
    "reason_code",
    "message",
    "copy_id",
    "original_digest",
    "copy_digest",
    "proven_at",
    "observation_started_at",
    "callers",
    "pending_callers",
    "runs",
    "deleted_at",
)
_CHANGE_COLUMNS = (
    "changed_at",
    "kind",
    "location",
    "state",
    "id_before",
    "id_after",
    "hash_before",
    "hash_after",
)


async def create_evidence_file(evidence: EvidenceReader) -> bytes:
    """Return the content of the evidence file."""
    with TemporaryDirectory() as folder:
        pack = EvidenceFile(Path(folder))
        return await _Writer(evidence, pack, room=MOST_RUN_BYTES).write_evidence_file()


@dataclass(slots=True)
class _Writer:
    evidence: EvidenceReader
    pack: EvidenceFile
    #: Bytes that are left for run history.
    room: int
    report: EvidenceReport = field(default_factory=EvidenceReport)
    #: Names of archived files that are not included, and the reason.
    omitted: dict[str, str] = field(default_factory=dict)

    async def write_evidence_file(self) -> bytes:
        about = RemediationEvidence.model_validate(self.evidence)
        self._write_json_line("remediation.json", about)
        self.pack.write_row("flows.csv", _FLOW_COLUMNS)
        self.pack.write_row("changes.csv", (*_OF_FLOW, *_CHANGE_COLUMNS))
        for job in self.evidence.environment_jobs:
            await self._write_plan_items_and_plans(job)
            async for flow in self.evidence.read_flows(job):
                self._write_flow(flow)
                if flow.run_archive:
                    await self._write_run_archive(flow.job.original.id, flow.run_archive)
        async for entry, text in self.evidence.audit.read_entries():
            # As it is stored, because a seal contains the hash of this text.
            self.pack.write("audit.jsonl", f"{mask_signatures(text)}\n".encode())
            self.report.collect_audit_entry(entry)
        differences = await self._write_seals_and_list_differences()
        unreadable = UnreadableRows(items=tuple(self.evidence.reading.unreadable))
        self._write_json_line("unreadable.json", unreadable)
        values = {
            "style": read_style(),
            "about": about,
            "omitted": self.omitted,
            "unreadable": len(unreadable.items),
            "audit_differences": differences,
            **self.report.build_template_values(about),
        }
        self.pack.write("report.html", render_template(_PAGE, values).encode())
        said = {
            "remediation": self.evidence.remediation.id,
            "omitted": self.omitted,
            AUDIT_DIFFERENCES: differences,
        }
        manifest = await asyncio.to_thread(self.pack.build_manifest, said)
        signature = await try_to_sign(self.evidence.services, manifest)
        content = format_signature(signature)
        stamp = await try_to_stamp(self.evidence.services, signature, content)
        return await asyncio.to_thread(self.pack.build_zip, manifest, content, stamp)

    async def _write_plan_items_and_plans(self, job: EnvironmentJob) -> None:
        async for item in self.evidence.read_plan_items(job):
            self._write_json_line("plan.jsonl", PlanItemEvidence.model_validate(item))
            self.report.collect_plan_item(job, item)
        for approved in job.approved_plans:
            name = f"{APPROVED_PLANS}{job.environment_id}/{approved.version}.json"
            try:
                # Unchanged, because the version is a hash of these bytes.
                self.pack.write(name, await self.evidence.read_approved_plan(job, approved))
            except NotFound as err:
                self.omitted[name] = redact(str(err))

    async def _write_seals_and_list_differences(self) -> tuple[str, ...]:
        sealed = await self.evidence.audit.compare_seals()
        for seal in sealed.seals:
            self.pack.write(SEALS_FILE, format_seal(seal))
        for name, content in sealed.entry_lists.items():
            self.pack.write(name, content)
        for key_id, reason in sealed.unconfirmed.items():
            self.omitted[f"public key {key_id}"] = reason
        return sealed.differences

    def _write_flow(self, flow: FlowEvidence) -> None:
        line = FlowEvidenceLine.model_validate(flow)
        self._write_json_line("flows.jsonl", line)
        job = line.job.model_dump(mode="json")
        row = job | {
            "proven_at": line.verification and line.verification.changed_at.isoformat(),
            "callers": len(line.callers),
            "pending_callers": len(line.pending_callers),
            "runs": line.run_archive and line.run_archive.runs,
            "deleted_at": line.deletion and line.deletion.deleted_at,
        }
        row = {name: row[name] for name in _FLOW_COLUMNS}
        self.report.collect_flow(flow)
        self._write_csv_row("flows.csv", row.values())
        for change in line.changes:
            cells = change.model_dump(mode="json")
            values = [job[name] for name in _OF_FLOW] + [cells[name] for name in _CHANGE_COLUMNS]
            self._write_csv_row("changes.csv", values)

    async def _write_run_archive(self, workflow_id: str, archive: RunArchive) -> None:
        for number, where in enumerate(archive.parts, start=1):
            if self.room <= 0:
                self.omitted[where] = "exceeds the size limit of run history in an evidence file"
                continue
            try:
                part = await self.evidence.read_run_part(archive, number)
            except NotFound as err:
                self.omitted[where] = redact(str(err))
                continue
            self.room -= len(part)
            self.pack.write(f"runs/{archive.environment_id}/{archive.job_id}.jsonl", part)
            self.report.count_archived_runs(archive.environment_id, workflow_id, part)

    def _write_json_line(self, name: str, answer: ApiResponse) -> None:
        self.pack.write(name, redact(answer.model_dump_json()).encode() + b"\n")

    def _write_csv_row(self, name: str, cells: Iterable[object]) -> None:
        self.pack.write_row(name, [redact(str(cell)) if cell else cell for cell in cells])
