"""Why a job waits, is blocked or failed: one code each, with what it means for whoever is asked.

docs/operations.md has a row for each. What the platform refuses keeps the platform's own code:
shared/domain/jobs/refusals.py.
"""

from enum import Enum, StrEnum


class EndedBy(Enum):
    """What ends a reason without a person who retries: it wakes every job that has it."""

    RELATIVE = "relative"  #: another job came far enough
    BATCH = "batch"  #: the first of the batch asked for all of it
    SETTING = "setting"  #: an administrator changes what it waited for
    SWEEP = "sweep"  #: the daily look at what a person may have done since


class Reason(StrEnum):
    """The code of a reason: its name in rows, answers and the runbook."""

    #: What to do, where that is always the same; else who raises it says so.
    instruction: str
    #: None: an order, or time.
    ended_by: EndedBy | None

    def __new__(cls, code: str, instruction: str = "", ended_by: EndedBy | None = None) -> "Reason":
        """Return the member that is equal to its code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.instruction = instruction
        member.ended_by = ended_by
        return member

    @classmethod
    def all_ended_by(cls, what: EndedBy) -> tuple["Reason", ...]:
        """Return the reasons that this ends."""
        return tuple(reason for reason in cls if reason.ended_by is what)

    # -- the plan and its approval
    ENVIRONMENT = "environment"
    NOT_LINKED = (
        "not_linked",
        "Link it to a policy first; until then only assess, dry-run or prepare it.",
    )
    LINKED = "linked"
    MODE = "mode"
    MIGRATING = "migrating"
    MIGRATION = "migration"
    CALLERS_NOT_SEARCHED = "callers_not_searched"
    STALE = "stale", "Look at the plan again, then approve the version that it shows."
    EXPIRED = "expired", "Order a new remediation: the tenant may have changed since."
    EXCLUDED = "excluded", "Leave it; or take it out of the excluded flows, then retry."
    OWN_ORDER = "own_order", "Have another approver decide; or order it as somebody else."
    IDEMPOTENCY_KEY = "idempotency_key", "Send each new order with a key of its own."

    # -- the original and its copy
    ORIGINAL = (
        "original",
        "Restore it in Power Automate (21 days), then retry; or cancel the job.",
    )
    GONE = "gone", "Restore what is missing, then retry; or cancel the job."
    CHANGED = "changed"
    TRIGGER = "trigger", "Roll this job back, then start a new remediation for the flow."
    DEFINITION = "definition", "Open the flow in Power Automate and save it once; then retry."
    MANAGED = "managed"
    OWNER = "owner"
    CUSTOM_CONNECTOR = "custom_connector"
    CONNECTION_REFERENCE = (
        "connection_reference",
        (
            "Choose this connection for the reference in Power Apps (Solutions, Default solution, "
            "Connection references), or make another reference for it; then retry."
        ),
    )
    SHARING = "sharing"
    SOLUTION = "solution"
    STATE = "state"
    NAME = "name", "Retry. If that does not help, rename the flow in Power Automate, then retry."
    NEITHER_ON = "neither_on"
    COULD_NOT_START = "could_not_start"
    AGENTS = "agents"
    COPY = "copy"
    COPY_DIFFERS = (
        "copy_differs",
        (
            "Compare the original with the copy in Power Automate; save the copy as it should be "
            "and report the difference to the project."
        ),
    )
    COPY_EDITED = (
        "copy_edited",
        (
            "Make the copy's edit in the original too, then retry: the copy is written as the "
            "original is then."
        ),
    )
    NOT_PROTECTED = (
        "not_protected",
        (
            "Check in the admin center that the environment's migration has ended, then retry; if "
            "the copy stays listed, open a support ticket."
        ),
    )
    URL = "url", "Open a support ticket: the copy was not created as a flow of its own."
    URL_SHAPE = (
        "url_shape",
        "Report the shape of the URL (without its signature) to the project.",
    )
    NETWORK_GAP = "network_gap", "", EndedBy.SWEEP
    CALL_REFUSED = "call_refused", "", EndedBy.SWEEP
    REPAIR = "repair", "", EndedBy.SWEEP
    REPAIR_UNFINISHED = "repair_unfinished"
    REPAIR_IN_USE = "repair_in_use"
    UNKNOWN_GAP = "unknown_gap"

    NOT_SHOWN = (
        "not_shown",
        "See in Power Automate whether it is there and as it is to be, then retry.",
    )
    FIRST_WAVE = "first_wave"
    KEY_LIST = "key_list"

    # -- without a copy
    BATCH = "batch", "", EndedBy.BATCH
    NOT_IN_SOLUTION = (
        "not_in_solution",
        (
            "Add it to a solution in Power Automate (Solutions › Add existing › Automation › Cloud "
            "flow › Outside Dataverse), then retry."
        ),
    )
    CONVERSION = "conversion", "Change it to V2 in the designer, then retry; or cancel the job."
    EDITED = "edited"
    EDIT_DIFFERS = "edit_differs"
    REFERENCES_LOST = "references_lost"

    # -- callers and relatives
    OPERATOR_SIGN_IN = "operator_sign_in"
    CALLER = "caller"
    MANUAL_CALLER = "manual_caller", "", EndedBy.SWEEP
    OWN_CHANNEL = "own_channel", "", EndedBy.SWEEP
    CHILD = "child", "", EndedBy.RELATIVE
    PARENT = "parent", "", EndedBy.RELATIVE
    PLAN = "plan"
    RESOURCE = "resource"
    GATHERING = "gathering"
    QUIET = "quiet"
    STRAGGLER = (
        "straggler",
        (
            "Find who still calls it: its run history in Power Automate shows when, and what was "
            "sent. Give that caller the copy's URL. Nothing is lost meanwhile: the original works."
        ),
    )
    WATCHED = "watched"
    RUNNING = "running"
    UNDER_WAY = "under_way"
    OVERWRITTEN = "overwritten"
    REPLAY = "replay"

    # -- the delete of an original
    NOT_RETIRED = "not_retired"
    TOO_EARLY = "too_early"
    RUNS = "runs"
    ARCHIVE = "archive"
    CAME_BACK = (
        "came_back",
        "Find out who turned it on; turn it off, then order the delete anew.",
    )
    DELETED = "deleted"

    # -- services, rows and what an administrator decides
    KILL_SWITCH = "kill_switch"
    WINDOW = "window", "", EndedBy.SETTING
    FLOW_JOBS = "flow_jobs"
    THROTTLED = "throttled"
    TRANSIENT = "transient", "Look at the flow in the portal, then retry.", EndedBy.SWEEP
    DEFECT = "defect", "Report it with this reason; retry when the app is mended."
    OUTAGE = "outage"
    STRAY_COPY = "stray_copy"
    LOAN = "loan"
    SERVICE_TAGS = (
        "service_tags",
        (
            "Put Microsoft's list where CMK_SERVICE_TAGS_FILE says (or empty the setting, and the "
            "app asks Azure), then retry."
        ),
    )
    NOT_LOOKED_AT = "not_looked_at"
    RANGES_CHANGED = "ranges_changed"
    RANGES_OLD = "ranges_old"
    KEY_PROBLEM = "key_problem"
    KEY_WARNING = "key_warning"
    UNREADABLE_ROW = "unreadable_row"
    CALL_BUDGET_RESET = (
        "call_budget_reset",
        (
            "Nothing has to be done once. If it happens again, find out what else writes to the "
            "table CallBudgets."
        ),
    )
    ROW_SKIPPED = "row_skipped"
