"""Build the page that shows what an uploaded CSV file of callers would change."""

from functions.caller_lines import CallerLines, format_caller_lines
from functions.dashboard.page_actions import build_page_action
from functions.dashboard.page_layout import PageContext, render_page
from shared.domain.plans.pending_actions import format_count
from shared.use_cases.import_callers import CallerChange, ImportPreview


def build_caller_file_page(view: PageContext, found: CallerLines, preview: ImportPreview) -> str:
    """Return the page with the changes and the wrong lines of the file."""
    faults = sorted({**found.faults, **preview.faults}.items())
    changes = [one for one in preview.changes if one.texts]
    kept = [one for one in found.lines if one.line not in preview.faults]
    apply = build_page_action(
        "declared-callers/import",
        f"Declare {format_count(len(changes), 'caller')}",
        view.principal,
        fields=(("file", format_caller_lines(kept)),),
        does=[
            "Flows that the file does not name stay declared.",
            *(["Lines that are not valid are left out."] if faults else []),
        ],
    )
    return render_page(
        "caller_file",
        view,
        section="Callers",
        title=_format_page_title(changes, len(faults)),
        changes=changes,
        unchanged=[one.after.name for one in preview.changes if not one.texts],
        faults=faults,
        apply=apply if changes else None,
    )


def _format_page_title(changes: list[CallerChange], fault_count: int) -> str:
    said = f"The file changes {format_count(len(changes), 'caller')}"
    if not changes:
        said = "The file changes nothing"
    if fault_count:
        verb = "is" if fault_count == 1 else "are"
        said += f", and {format_count(fault_count, 'line')} {verb} not valid"
    return said
