"""Archive one more page of summaries of an original's runs.

A page becomes a part of the archive, which is written before the row. After a crash in between, the
page is read again, but the archive keeps the part that it has.
"""

from dataclasses import replace

from shared.domain.jobs.run_archive import (
    MOST_RUNS,
    RunArchive,
    RunArchiveState,
    format_part_name,
    format_runs_as_json_lines,
    parse_runs_from_json_lines,
    with_part,
)
from shared.errors import NotFound, PlatformError
from shared.services import Services
from shared.steps.flows.discovery_pages import has_cursor_expired


async def archive_run_page(services: Services, archive: RunArchive) -> RunArchive:
    """Read one more page of runs from the flow service and archive it.

    Return the record of the archive, which says whether all runs are archived.
    """
    try:
        page = await services.flow_reports.read_run_page(
            archive.environment_id,
            archive.flow_name,
            archive.cursor,
            since=archive.begins_at,
            until=archive.oldest_run_at or archive.started_at,
        )
    except (NotFound, PlatformError) as err:
        if has_cursor_expired(archive.cursor, err):
            return replace(archive, cursor="")
        if isinstance(err, NotFound):
            return replace(archive, state=RunArchiveState.ORIGINAL_DELETED)
        raise
    new = [run for run in page.items if run.run_id not in archive.oldest_run_ids]
    part = new[: MOST_RUNS - archive.own_run_count]
    if part:
        name = format_part_name(archive, len(archive.parts) + 1)
        where = await services.archive.put(name, format_runs_as_json_lines(part))
        kept = parse_runs_from_json_lines(await services.archive.get(name))
        archive = with_part(archive, where, kept)
        if [run.run_id for run in kept] != [run.run_id for run in part]:
            return replace(archive, cursor="")  # the stored part ends at another run than this page
    if len(part) < len(new):
        return replace(archive, state=RunArchiveState.TRUNCATED, cursor="")
    if page.cursor:
        return replace(archive, cursor=page.cursor)
    # What an earlier archive of this flow omitted stays omitted.
    is_capped = archive.earlier_run_count >= MOST_RUNS
    end = RunArchiveState.TRUNCATED if is_capped else RunArchiveState.COMPLETED
    return replace(archive, state=end, cursor="")
