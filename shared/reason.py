"""Define the reason codes: why a job waits, is blocked or failed, and what a person does about it.

docs/runbook.md shows them as a table. An error answer of the platform keeps the platform's own
code: see shared/domain/platform_errors.py.
"""

from enum import Enum, StrEnum


class ClearedBy(Enum):
    """What clears a reason automatically, so that no person has to retry."""

    RELATIVE = "relative"  #: a dependent job reached the step that this job waits for
    BATCH = "batch"  #: the first job of the batch sent the request for all of them
    MATE = "mate"  #: another job that this job waits for has stopped
    SETTING = "setting"  #: an administrator changed the setting
    SWEEP = "sweep"  #: the daily check found that a person has fixed it


class Reason(StrEnum):
    """A reason code, as stored in rows and shown in API responses and the runbook."""

    #: What has happened, as one sentence for the runbook.
    meaning: str
    #: What a person does about it. The code that raises the reason may give a more exact text.
    instruction: str
    #: None: only a retry or the passing of time clears it.
    ended_by: ClearedBy | None

    def __new__(
        cls, code: str, meaning: str, instruction: str, ended_by: ClearedBy | None = None
    ) -> "Reason":
        """Create the member; it compares equal to its code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.instruction = instruction
        member.ended_by = ended_by
        return member

    @classmethod
    def all_ended_by(cls, what: ClearedBy) -> tuple["Reason", ...]:
        """Return the reasons that this event clears."""
        return tuple(reason for reason in cls if reason.ended_by is what)

    # -- the plan and its approval
    ENVIRONMENT = (
        "environment",
        "The environment does not exist, or the app cannot read it.",
        "Check the environment's id and the app's rights, then retry; or cancel the remediation.",
    )
    NOT_LINKED = (
        "not_linked",
        "No enterprise policy is applied to the environment.",
        "Apply a policy first. Until then, use the mode assess, dry-run or prepare.",
    )
    LINKED = (
        "linked",
        "A key was applied before every flow was prepared.",
        "Cancel the job, then start a remediation in mode `apply`.",
    )
    MODE = (
        "mode",
        "The environment is read-only (mode `assess`).",
        "Run `cmkflow environment set ENVIRONMENT --approval-policy approve`, then retry.",
    )
    MIGRATING = (
        "migrating",
        "The platform migration is in progress.",
        "Nothing: the job continues when the platform migration is complete.",
    )
    MIGRATION = (
        "migration",
        "For four days, the platform has not moved flows that it should move to the key.",
        ("Open a ticket with Microsoft's support, or exclude the named flows; then retry."),
    )
    CALLERS_NOT_SEARCHED = (
        "callers_not_searched",
        "The app cannot read a vault, an app, an environment or a canvas app.",
        "Grant the right that the message names, then retry.",
    )
    STALE = (
        "stale",
        "The plan has changed since this version was shown.",
        "Read the plan again, then approve its new version.",
    )
    EXPIRED = (
        "expired",
        "The plan is too old to be approved.",
        "Start a new remediation.",
    )
    EXCLUDED = (
        "excluded",
        ("The flow was excluded after it was planned, or after its deletion was scheduled."),
        "To continue, remove the flow from the excluded flows, then retry.",
    )
    OWN_ORDER = (
        "own_order",
        "The person who started a remediation may not approve its plan or deletions.",
        "Ask another approver.",
    )
    IDEMPOTENCY_KEY = (
        "idempotency_key",
        "The same idempotency key has started another remediation.",
        "Use a new idempotency key for each new remediation.",
    )

    # -- the original and its copy
    ORIGINAL = (
        "original",
        "The original was deleted.",
        "Restore it in Power Automate (21 days), then retry; or cancel the job.",
    )
    GONE = (
        "gone",
        "Something that the job needs was deleted.",
        "Restore what is missing, then retry; or cancel the job.",
    )
    CHANGED = (
        "changed",
        (
            "The original was edited after it was planned or copied, or a flow that it calls was "
            "rolled back."
        ),
        "Check the edit, then retry: the app copies the flow as it is now.",
    )
    TRIGGER = (
        "trigger",
        ("The original's trigger has changed since it was copied, or the app does not know it."),
        "Roll the job back, then start a new remediation for the flow.",
    )
    DEFINITION = (
        "definition",
        "The app cannot read the original's definition.",
        "Save the flow once in Power Automate, then retry.",
    )
    MANAGED = (
        "managed",
        "The flow is part of a managed solution.",
        (
            "Copy it where the solution is developed, release the solution, then start a new "
            "remediation."
        ),
    )
    OWNER = (
        "owner",
        (
            "The copy cannot be created or turned on for its owner: the owner is disabled or is "
            "no user of the environment, or the app may not act for others."
        ),
        (
            "Enable or change the owner, or give the app's application user the role Delegate; "
            "then retry."
        ),
    )
    CUSTOM_CONNECTOR = (
        "custom_connector",
        ("The flow embeds a connection of a custom connector that has no connection reference."),
        (
            "Create a connection reference in a solution that contains the custom connector, then "
            "retry."
        ),
    )
    CONNECTION_REFERENCE = (
        "connection_reference",
        "The connection reference that the app created for the copy uses another connection.",
        (
            "In Power Apps (Solutions, Default solution, Connection references), choose the named"
            " connection, or create another reference for it; then retry."
        ),
    )
    SHARING = (
        "sharing",
        "The platform rejects or does not keep the copy's sharing.",
        (
            "Give the app's application user the role System Administrator, or share the copy "
            "yourself; then retry."
        ),
    )
    SOLUTION = (
        "solution",
        "The copy cannot be added to a solution of the original.",
        "Add the copy to the solution in Power Automate, then retry.",
    )
    STATE = (
        "state",
        (
            "A flow did not turn on or off although the platform accepted it (if it was the copy,"
            " the original is on again); or nothing awaits approval."
        ),
        "Open the flow, read the flow checker, turn the flow on or off, then retry.",
    )
    NAME = (
        "name",
        "The platform accepted a flow's new name and did not keep it.",
        "Retry. If that fails, rename the flow in Power Automate, then retry.",
    )
    NEITHER_ON = (
        "neither_on",
        "Original and copy are both off: the flow does not run.",
        "In Power Automate, as its owner, turn on the flow that the message names.",
    )
    COULD_NOT_START = (
        "could_not_start",
        (
            "If the original were turned off, it or its copy could not be turned on. Nothing was "
            "turned off."
        ),
        (
            "Fix what the message names, then retry. To ignore it, run `cmkflow environment "
            "ignore ENVIRONMENT NAME --justification TEXT` with the name in brackets; a rollback "
            "may then be impossible."
        ),
    )
    AGENTS = (
        "agents",
        (
            "Copilot Studio agents run the original (in a rollback: the copy), and the app cannot"
            " read which. Nothing was turned off."
        ),
        (
            "Have their makers choose the other flow and publish; then run `cmkflow environment "
            "ignore ENVIRONMENT NAME --justification TEXT` with the name in the message."
        ),
    )
    COPY = (
        "copy",
        "The copy was deleted, or edited before it was verified.",
        "Roll back or cancel, then start again; make an edit of the copy in the original too.",
    )
    COPY_DIFFERS = (
        "copy_differs",
        "The platform stored the copy differently from what was sent.",
        (
            "Compare the copy with the original, correct it in Power Automate, and report the "
            "difference to the project."
        ),
    )
    COPY_EDITED = (
        "copy_edited",
        "Original and copy were both edited, and the app would overwrite the copy.",
        ("Make the copy's edit in the original too, then retry."),
    )
    NOT_PROTECTED = (
        "not_protected",
        "The copy itself is on Microsoft's key.",
        (
            "When the admin center shows the platform migration as complete, retry. If the copy "
            "stays listed, open a support ticket."
        ),
    )
    URL = (
        "url",
        "The copy has the original's trigger URL.",
        "Open a support ticket: the platform did not create a separate flow.",
    )
    URL_SHAPE = (
        "url_shape",
        "The copy's trigger URL has a form that the app does not know.",
        "Report the URL, without its signature, to the project.",
    )
    NETWORK_GAP = (
        "network_gap",
        "A firewall denies the copy's addresses, or may deny them.",
        (
            "Allow them for every named region, then retry; or ignore the issue (`cmkflow "
            "environment ignore`)."
        ),
        ClearedBy.SWEEP,
    )
    CALL_REFUSED = (
        "call_refused",
        ("A call of a copy was denied or timed out. No original that calls this host is retired."),
        "Allow the copy's addresses in the firewall that the message names.",
        ClearedBy.SWEEP,
    )
    REPAIR = (
        "repair",
        ("The app cannot change the firewall as approved, or Azure did not keep the change."),
        (
            "Make the change that `cmkflow network fix` shows, then retry. If Azure reverts "
            "it, see the resource's activity log."
        ),
        ClearedBy.SWEEP,
    )
    REPAIR_UNFINISHED = (
        "repair_unfinished",
        "A firewall change began, and its result is unknown.",
        ("Run the same command again: `cmkflow network fix RESOURCE --apply` or `--revert`."),
    )
    REPAIR_IN_USE = (
        "repair_in_use",
        "Copies call through the firewall change that is to be reverted.",
        "Roll back these remediations first; or add `--force`.",
    )
    UNKNOWN_GAP = (
        "unknown_gap",
        "No firewall issue and no firewall has this name.",
        "Use a name from the answer.",
    )
    NOT_SHOWN = (
        "not_shown",
        (
            "The platform accepted a change and does not show it. After `CMK_READ_BACK_TIMEOUT` "
            "(five minutes) the job is blocked."
        ),
        "Check in Power Automate whether the change was made, then retry.",
    )
    FIRST_WAVE = (
        "first_wave",
        "The callers of the pilot flows are not updated yet.",
        "Nothing: the other flows start when the pilot flows work.",
    )
    KEY_LIST = (
        "key_list",
        ("The Microsoft-key list has not been read since the copy was created."),
        ("Nothing: the list is read after `CMK_READ_LAG`, then every `CMK_WAIT_POLL_INTERVAL`."),
    )

    # -- without a copy
    BATCH = (
        "batch",
        "Flows that are added to a solution together with this one are not ready.",
        "Nothing: the job continues with them.",
        ClearedBy.BATCH,
    )
    NOT_IN_SOLUTION = (
        "not_in_solution",
        "The platform accepted to add the flow to a solution and has not done so after an hour.",
        (
            "Add the flow in Power Automate (Solutions › Add existing › Automation › Cloud flow › "
            "Outside Dataverse), then retry."
        ),
    )
    CONVERSION = (
        "conversion",
        "After it was planned, the definition got a part that the app cannot convert safely.",
        "Change it to V2 in the designer, then retry; or cancel the job.",
    )
    EDITED = (
        "edited",
        "A converted definition was edited, so the app does not restore the earlier one.",
        "Restore the definition from the job's archive yourself, then retry.",
    )
    EDIT_DIFFERS = (
        "edit_differs",
        "The platform stored the converted definition differently from what was sent.",
        (
            "Compare the definition with the archive, correct and save the flow, then retry; "
            "report the difference to the project."
        ),
    )
    REFERENCES_LOST = (
        "references_lost",
        (
            "A rejected save removed the flow's connection references, and the app could not "
            "restore them."
        ),
        (
            "In Power Automate, choose a connection for each named reference, save the flow, then"
            " retry. The archive has the earlier definition (`ENVIRONMENT/FLOW/before-JOB.json`)."
        ),
    )

    # -- callers and dependent flows
    OPERATOR_SIGN_IN = (
        "operator_sign_in",
        "The service account is not set up, or its sign-in has expired.",
        "Run `cmkflow service-account sign-in`, then retry.",
    )
    CALLER = (
        "caller",
        "A caller does not keep what the app writes, or cannot be reverted.",
        ("Find what else writes it (a pipeline, App Configuration), change it there, then retry."),
    )
    MANUAL_CALLER = (
        "manual_caller",
        ("A manual caller still has the original's URL or id (in a rollback: the copy's)."),
        "Change it as the message says, then retry.",
        ClearedBy.SWEEP,
    )
    OWN_CHANNEL = (
        "own_channel",
        (
            "A notification channel of this app posts to the flow that is to be turned off. "
            "Nothing was turned off."
        ),
        "Put the other flow's URL into the setting that the message names, deploy, then retry.",
        ClearedBy.SWEEP,
    )
    CHILD = (
        "child",
        "A child flow is not ready, or is blocked.",
        "If the child flow is blocked, fix its job; this job then continues.",
        ClearedBy.RELATIVE,
    )
    PARENT = (
        "parent",
        "A parent flow is not ready, or is blocked.",
        "If the parent flow is blocked, fix its job; this job then continues.",
        ClearedBy.RELATIVE,
    )
    PLAN = (
        "plan",
        "Another plan is about to copy a caller of this flow.",
        "Approve or cancel that plan.",
    )
    RESOURCE = (
        "resource",
        "Another job writes the same app or secret.",
        "Nothing: the job continues when the other has written.",
    )
    GATHERING = (
        "gathering",
        "Other flows have callers in the same app, secret or flow; the app writes them together.",
        ("Nothing: the job continues after `CMK_CALLER_BATCH_WAIT` at the latest."),
        ClearedBy.MATE,
    )
    QUIET = (
        "quiet",
        "The original has received a call within the no-call period (`CMK_NO_CALL_PERIOD`).",
        "Nothing: the original is retired when no more calls arrive.",
    )
    STRAGGLER = (
        "straggler",
        (
            "An unknown caller still calls the original, an hour after all known callers were "
            "updated. No call is lost."
        ),
        (
            "Find the caller: the original's run history shows when it calls and what it sends. "
            "Give it the copy's URL."
        ),
    )
    WATCHED = (
        "watched",
        "The app monitors the copy after a cutover.",
        "Nothing: the job continues after `CMK_MONITORING_PERIOD`.",
    )
    RUNNING = (
        "running",
        "A flow run that began before the change is in progress.",
        "Nothing: the job continues when the run is complete.",
    )
    UNDER_WAY = (
        "under_way",
        "The last write of an earlier invocation may still arrive.",
        "Nothing: the job continues when the write can no longer arrive.",
    )
    OVERWRITTEN = (
        "overwritten",
        (
            "A delayed invocation wrote older values into an app's settings or a secret. The app "
            "restores trigger URLs; the message names the other values."
        ),
        (
            "Restore the named values from the secret's earlier versions or the app's activity "
            "log (Update web app settings)."
        ),
    )
    REPLAY = (
        "replay",
        (
            "The rollback would turn on a polling original, which then processes again the "
            "events that its copy has processed."
        ),
        "Add `--accept-replay` to accept that, or roll back without these flows.",
    )

    # -- the deletion of an original
    NOT_RETIRED = (
        "not_retired",
        "A deletion was requested for an original that is not retired.",
        "Wait until the original is retired.",
    )
    TOO_EARLY = (
        "too_early",
        "The date of the deletion is too early.",
        "Choose the date that the message names, or a later one.",
    )
    RUNS = (
        "runs",
        "The run summaries of the original are not archived yet.",
        "Nothing: the deletion continues when they are archived.",
    )
    ARCHIVE = (
        "archive",
        "The archive does not return what was stored, or the original's runs cannot be read.",
        "Check the archive, then schedule the deletion again.",
    )
    CAME_BACK = (
        "came_back",
        "A retired original is on again: it and its copy may both run.",
        "Turn the original off, find out who turned it on, then schedule the deletion again.",
    )
    DELETED = (
        "deleted",
        "The original was deleted, and its job is to be rolled back.",
        "Restore the flow by the day that the message names, then retry.",
    )

    # -- services, rows and settings
    KILL_SWITCH = (
        "kill_switch",
        "The kill switch is on: the app writes nothing.",
        (
            "Turn the kill switch off when its cause is fixed: `cmkflow kill-switch off "
            "--justification "
            "TEXT`."
        ),
    )
    WINDOW = (
        "window",
        "The environment's maintenance window is closed.",
        (
            "Nothing; or change the window: `cmkflow environment set ENVIRONMENT "
            "--maintenance-window "
            "22:00-04:00`."
        ),
        ClearedBy.SETTING,
    )
    FLOW_JOBS = (
        "flow_jobs",
        "Flow jobs are in progress, or changed flows await approval.",
        "Approve the changed flows, if there are any.",
    )
    THROTTLED = (
        "throttled",
        "The platform, or the app's request budget, allows no request at present.",
        "Nothing: the jobs continue when requests are left.",
    )
    TRANSIENT = (
        "transient",
        "The service works, but every request for this flow failed.",
        "Check the flow in Power Automate, then retry.",
        ClearedBy.SWEEP,
    )
    DEFECT = (
        "defect",
        (
            "Five invocations in a row met an internal error. Nothing has changed since; in a "
            "cutover, the original is on again."
        ),
        "Report the message to the project; retry when the app is fixed.",
    )
    OUTAGE = (
        "outage",
        "A service does not answer.",
        (
            "Nothing: the jobs continue within twenty minutes after the service answers again. "
            "Check Microsoft's service health."
        ),
    )
    STRAY_COPY = (
        "stray_copy",
        (
            "A copy exists, or was on, although its job is rolled back or cancelled. The daily "
            "check turns the copy off, unless the original is off."
        ),
        (
            "Check whether original and copy have both run. If nobody needs the copy, delete it "
            "in Power Automate."
        ),
    )
    LOAN = (
        "loan",
        "The service account is still co-owner of a flow that the app has read.",
        (
            "If the app does not remove it within the hour, remove it from the flow's owners in "
            "Power Automate."
        ),
    )
    SERVICE_TAGS = (
        "service_tags",
        "The file of `CMK_SERVICE_TAGS_FILE` is missing, or has no service tags.",
        ("Provide the file, or empty the setting so that the app asks Azure; then retry."),
    )
    NOT_LOOKED_AT = (
        "not_looked_at",
        (
            "The daily check could not check whether some retired originals are on again. The "
            "next check starts with them."
        ),
        ("If it repeats, check the service, or raise `CMK_DATAVERSE_REQUESTS_PER_MINUTE`."),
    )
    RANGES_CHANGED = (
        "ranges_changed",
        "Microsoft's address ranges changed, and firewalls deny the new ones.",
        ("Open the firewalls that `cmkflow network tag-changes` shows, or ignore each issue."),
    )
    RANGES_OLD = (
        "ranges_old",
        ("The service tag list has not changed for ninety days, or could not be read for a week."),
        (
            "Replace the file of `CMK_SERVICE_TAGS_FILE`, or check the app's right to read "
            "service tags."
        ),
    )
    KEY_PROBLEM = (
        "key_problem",
        "A key does not work, or will stop working.",
        "Do what the message says, then run `cmkflow key check`.",
    )
    KEY_WARNING = (
        "key_warning",
        ("A key may stop working, or could not be checked."),
        "Do what the message says, then run `cmkflow key check`.",
    )
    UNREADABLE_ROW = (
        "unreadable_row",
        "This version of the app cannot read a row.",
        "Do what the message says with the row that it names.",
    )
    CALL_BUDGET_RESET = (
        "call_budget_reset",
        (
            "A row of the table `requestbudgets` was unreadable. The budget stopped for four "
            "minutes and began again."
        ),
        ("If it repeats, find what else writes to the table."),
    )
    ROW_SKIPPED = (
        "row_skipped",
        "A timer met an internal error with this row. It tries again each time.",
        "Report the message to the project.",
    )
