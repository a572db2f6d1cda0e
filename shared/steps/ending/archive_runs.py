"""Archive one more part of an original's run summaries. Reads the platform, writes the archive.

A part stands before the row says so. After a kill in between the same part is made again, and the
archive keeps the first: parts have fixed names and runs that began later do not count.
"""

from dataclasses import replace

from shared.domain.jobs.run_archive import (
    MOST_RUNS,
    ArchiveState,
    RunArchive,
    part_name,
    to_json_lines,
    with_part,
)
from shared.errors import NotFound
from shared.services import Services

#: Runs in one part. One more and those at the boundary have to fit into a page of 250
#: (platform.md#flow-runs).
PART = 200


async def archive_part(services: Services, archive: RunArchive) -> RunArchive:
    """Return the archive after one more part, or at its end."""
    room = min(PART, MOST_RUNS - archive.own_runs)
    known = len(archive.oldest_ids)
    try:
        found = await services.flow_reports.runs(
            archive.environment_id,
            archive.flow_name,
            since=archive.begins,
            until=archive.oldest or archive.began,
            # One more, to see whether this is the end.
            limit=known + room + 1,
        )
    except NotFound:
        return replace(archive, state=ArchiveState.GONE)
    new = [run for run in found if run.run_id not in archive.oldest_ids]
    part, is_last = new[:room], len(new) <= room
    # What an earlier archive of this flow left out stays left out.
    end = ArchiveState.CAPPED if archive.earlier_runs >= MOST_RUNS else ArchiveState.COMPLETE
    if not part:
        return replace(archive, state=end)
    name = part_name(archive, len(archive.parts) + 1)
    where = await services.archive.put(name, to_json_lines(part))
    state = end if is_last else ArchiveState.OPEN
    if not is_last and archive.own_runs + len(part) >= MOST_RUNS:
        state = ArchiveState.CAPPED
    return with_part(archive, where, part, state)
