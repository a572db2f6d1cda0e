"""Why a job waits, is blocked or failed: one code each, with what it means for whoever is asked.

docs/runbook.md shows them as a table. What the platform refuses keeps the platform's own code:
shared/domain/platform_errors.py.
"""

from enum import Enum, StrEnum


class ClearedBy(Enum):
    """What ends a reason without a person who retries: it wakes every job that has it."""

    RELATIVE = "relative"  #: another job came far enough
    BATCH = "batch"  #: the first of the batch asked for all of it
    MATE = "mate"  #: another job, which it waits for, has stopped
    SETTING = "setting"  #: an administrator changes what it waited for
    SWEEP = "sweep"  #: the daily look at what a person may have done since


class Reason(StrEnum):
    """The code of a reason: its name in rows, answers and the runbook."""

    #: What has happened: a sentence for the runbook.
    meaning: str
    #: What a person does about it; who raises it may say it more exactly.
    instruction: str
    #: None: an order, or time.
    ended_by: ClearedBy | None

    def __new__(
        cls, code: str, meaning: str, instruction: str, ended_by: ClearedBy | None = None
    ) -> "Reason":
        """Return the member that is equal to its code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.instruction = instruction
        member.ended_by = ended_by
        return member

    @classmethod
    def all_ended_by(cls, what: ClearedBy) -> tuple["Reason", ...]:
        """Return the reasons that this ends."""
        return tuple(reason for reason in cls if reason.ended_by is what)

    # -- the plan and its approval
    ENVIRONMENT = (
        "environment",
        "The environment is gone, or the app cannot see it.",
        "Check the environment's id and the app's rights; else cancel the remediation.",
    )
    NOT_LINKED = (
        "not_linked",
        "No enterprise policy is applied to the environment.",
        "Link it to a policy first; until then only assess, dry-run or prepare it.",
    )
    LINKED = (
        "linked",
        "A key was applied before every flow was prepared.",
        "Cancel the job. A remediation in mode `apply` copies the flows that stay.",
    )
    MODE = (
        "mode",
        "The environment is in mode `assess`, which is read-only.",
        "Set its mode (`cmkflow environment set ENVIRONMENT --mode approve`), then retry.",
    )
    MIGRATING = (
        "migrating",
        "Microsoft moves the environment's flows to the key.",
        "Nothing: the job continues when the platform migration is complete.",
    )
    MIGRATION = (
        "migration",
        "The platform has not moved flows to the key that it should move, for four days.",
        (
            "Open a ticket with Microsoft's support, then retry; or exclude the named flows, then "
            "retry."
        ),
    )
    CALLERS_NOT_SEARCHED = (
        "callers_not_searched",
        "A vault, an app, an environment or an app's document cannot be read.",
        "Give the app the right that the message names, then retry.",
    )
    STALE = (
        "stale",
        "The plan is no longer the one that was approved.",
        "Look at the plan again, then approve the version that it shows.",
    )
    EXPIRED = (
        "expired",
        "The plan is too old to be approved.",
        "Start a new remediation: the tenant may have changed since.",
    )
    EXCLUDED = (
        "excluded",
        (
            "The original was added to the excluded flows after it was planned, or after its "
            "deletion was scheduled."
        ),
        "Leave it; or take it out of the excluded flows, then retry.",
    )
    OWN_ORDER = (
        "own_order",
        "The person who started the remediation may not approve its plan or its deletions.",
        "Have another approver decide; or have somebody else start the remediation.",
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
            "The original was edited after it was planned or copied. The rollback of a flow that "
            "it calls, which restores the old URL, is such an edit too."
        ),
        "Check the edit, then retry: the app copies the flow as it is now.",
    )
    TRIGGER = (
        "trigger",
        (
            "The original has another trigger than when it was copied, or one that the app does "
            "not know."
        ),
        "Roll this job back, then start a new remediation for the flow.",
    )
    DEFINITION = (
        "definition",
        "The original's definition cannot be read.",
        "Open the flow in Power Automate and save it once; then retry.",
    )
    MANAGED = (
        "managed",
        "The flow is part of a managed solution.",
        (
            "Copy it where the solution is made and release the solution; then start a new "
            "remediation."
        ),
    )
    OWNER = (
        "owner",
        (
            "The copy cannot be created, or turned on, for its owner: the owner is disabled or is "
            "no user of the environment, or the app may not act for others."
        ),
        (
            "Enable the owner or give the flow another one, or give the app's application user "
            "the role Delegate; then retry."
        ),
    )
    CUSTOM_CONNECTOR = (
        "custom_connector",
        (
            "The flow embeds a connection of a custom connector, and no connection reference "
            "leads to it."
        ),
        "Make a connection reference in a solution that contains the custom connector, then retry.",
    )
    CONNECTION_REFERENCE = (
        "connection_reference",
        "The connection reference that was made for the copy leads to another connection.",
        (
            "Choose this connection for the reference in Power Apps (Solutions, Default solution, "
            "Connection references), or make another reference for it; then retry."
        ),
    )
    SHARING = (
        "sharing",
        "The platform rejects the copy's sharing, or does not keep it.",
        (
            "Give the app's application user the role System Administrator, or share the copy as "
            "the original is shared; then retry."
        ),
    )
    SOLUTION = (
        "solution",
        "The copy cannot join a solution of the original.",
        "Add the copy to the solution in Power Automate, then retry.",
    )
    STATE = (
        "state",
        (
            "A flow is not on (or off) although the platform accepted the change; or its copy did "
            "not come on within five minutes, so that the original is on again; or nothing awaits "
            "approval."
        ),
        "Open the flow, read the flow checker, turn the flow on (or off), then retry.",
    )
    NAME = (
        "name",
        "The platform accepted a new name of a flow and did not keep it.",
        "Retry. If that does not help, rename the flow in Power Automate, then retry.",
    )
    NEITHER_ON = (
        "neither_on",
        "A flow that was on is off, and its copy is off too. The flow does not run.",
        "Turn on the flow that the message names, in Power Automate as its owner.",
    )
    COULD_NOT_START = (
        "could_not_start",
        (
            "If the original were turned off, it or its copy could not be turned on: a disabled "
            "owner, a missing licence, a broken connection, or a child flow that is off. Nothing "
            "was turned off."
        ),
        (
            "Fix what the message names, then retry. Or accept it under the name in brackets: "
            "`cmkflow environment waive ENVIRONMENT NAME --reason TEXT`. A rollback may then be "
            "impossible."
        ),
    )
    AGENTS = (
        "agents",
        (
            "Agents of Copilot Studio run the original (in a rollback: the copy), and the app "
            "cannot read which. Nothing was turned off."
        ),
        (
            "Have their makers choose the other flow and publish; then confirm it under the name "
            "that the message gives: `cmkflow environment waive ENVIRONMENT NAME --reason TEXT`."
        ),
    )
    COPY = (
        "copy",
        "The copy was deleted, or edited before it was verified.",
        "Cancel or roll back, then start again; make an edit of the copy in the original too.",
    )
    COPY_DIFFERS = (
        "copy_differs",
        "The platform stored the copy differently from what was sent.",
        (
            "Compare the original with the copy in Power Automate; save the copy as it should be "
            "and report the difference to the project."
        ),
    )
    COPY_EDITED = (
        "copy_edited",
        "Original and copy were both edited, and the app is about to write the copy again.",
        (
            "Make the copy's edit in the original too, then retry: the copy is written as the "
            "original is then."
        ),
    )
    NOT_PROTECTED = (
        "not_protected",
        "The copy itself is on Microsoft's key.",
        (
            "Check in the admin center that the environment's platform migration is complete, "
            "then retry; if the copy stays listed, open a support ticket."
        ),
    )
    URL = (
        "url",
        "The copy has the original's trigger URL.",
        "Open a support ticket: the platform did not create the copy as a separate flow.",
    )
    URL_SHAPE = (
        "url_shape",
        "The copy's trigger URL has a shape that the app does not know.",
        "Report the shape of the URL (without its signature) to the project.",
    )
    NETWORK_GAP = (
        "network_gap",
        "A firewall denies the copy's addresses, or may deny them (a firewall issue).",
        (
            "Allow them for every named region, then retry; or ignore the issue (`cmkflow "
            "environment waive`)."
        ),
        ClearedBy.SWEEP,
    )
    CALL_REFUSED = (
        "call_refused",
        (
            "A run of a copy shows that its call of a host was denied or timed out. No original "
            "whose flow calls this host is retired."
        ),
        "Allow the copy's addresses in the firewall that the message names.",
        ClearedBy.SWEEP,
    )
    REPAIR = (
        "repair",
        (
            "The app cannot make the approved change of a firewall (no room, no free priority, a "
            "rule of the same name, a kind that a person changes), or Azure did not keep the "
            "change."
        ),
        (
            "Make the change that `cmkflow network repair` shows, then retry. If Azure did not "
            "keep it, find in the resource's activity log what reverts it."
        ),
        ClearedBy.SWEEP,
    )
    REPAIR_UNFINISHED = (
        "repair_unfinished",
        "A change of a firewall was begun, and its result is not known.",
        (
            "Run the same command again, `cmkflow network repair RESOURCE --apply` or `--undo`: "
            "it reads what is there and completes it."
        ),
    )
    REPAIR_IN_USE = (
        "repair_in_use",
        "Copies call through the firewall change that is to be reverted.",
        "Roll back these remediations first; or add `--even-in-use`.",
    )
    UNKNOWN_GAP = (
        "unknown_gap",
        "No firewall issue and no firewall has this name.",
        "Take the name from the answer, which lists the names that are similar, or all.",
    )
    NOT_SHOWN = (
        "not_shown",
        (
            "The platform accepted a change and does not show it. The job waits for five minutes "
            "(`CMK_READ_BACK_TIMEOUT`), then it is blocked."
        ),
        "Check in Power Automate whether it is there and as it should be, then retry.",
    )
    FIRST_WAVE = (
        "first_wave",
        "The callers of the first flows are not updated yet.",
        "Nothing: the other flows start when the first flows work.",
    )
    KEY_LIST = (
        "key_list",
        (
            "The next list of the flows on Microsoft's key, which verifies all copies made before "
            "it, is not read yet."
        ),
        (
            "Nothing: it is read a minute after the copy was made (`CMK_READ_LAG`), then every "
            "five minutes (`CMK_WAIT_POLL_INTERVAL`)."
        ),
    )

    # -- without a copy
    BATCH = (
        "batch",
        "The flows that are added to a solution together with this one are not ready.",
        "Nothing: the job continues with them.",
        ClearedBy.BATCH,
    )
    NOT_IN_SOLUTION = (
        "not_in_solution",
        "The platform accepted to add the flow to a solution, and an hour later it is in none.",
        (
            "Add it to a solution in Power Automate (Solutions › Add existing › Automation › "
            "Cloud flow › Outside Dataverse), then retry."
        ),
    )
    CONVERSION = (
        "conversion",
        "After the plan was made, the definition got a part that cannot be converted safely.",
        "Change it to V2 in the designer, then retry; or cancel the job.",
    )
    EDITED = (
        "edited",
        "A converted definition that is to be restored was edited.",
        "Restore the definition yourself (the job's archive has it), then retry.",
    )
    EDIT_DIFFERS = (
        "edit_differs",
        "The platform stored the converted definition differently from what was sent.",
        (
            "Compare it with the archive, save the flow as it should be, then retry; report the "
            "difference to the project."
        ),
    )
    REFERENCES_LOST = (
        "references_lost",
        (
            "The platform rejected a save and removed the flow's connection references, and the "
            "app could not restore them."
        ),
        (
            "Open the flow in Power Automate, choose a connection for each reference that the "
            "message names, save the flow, then retry. The archive has the definition as it was "
            "(`ENVIRONMENT/FLOW/before-JOB.json`)."
        ),
    )

    # -- callers and relatives
    OPERATOR_SIGN_IN = (
        "operator_sign_in",
        "The service account is not set up, or its sign-in has expired.",
        "Sign it in again (`cmkflow operator sign-in`), then retry.",
    )
    CALLER = (
        "caller",
        "A caller does not keep what the app writes, or cannot be reverted.",
        (
            "Find out what else writes it (a pipeline, App Configuration), change it there, then "
            "retry."
        ),
    )
    MANUAL_CALLER = (
        "manual_caller",
        (
            "A caller that only a person may change still has the original's URL or id (in a "
            "rollback: the copy's)."
        ),
        "Change it as the message says, then retry.",
        ClearedBy.SWEEP,
    )
    OWN_CHANNEL = (
        "own_channel",
        (
            "A notification channel of this app posts to the flow that is to be turned off. "
            "Nothing was turned off."
        ),
        "Put the other flow's URL into the setting that the message names, deploy it, then retry.",
        ClearedBy.SWEEP,
    )
    CHILD = (
        "child",
        "A child flow is not ready, or is blocked.",
        "Fix the child flow's job: this one continues when the child is ready.",
        ClearedBy.RELATIVE,
    )
    PARENT = (
        "parent",
        "A parent flow is not ready, or is blocked.",
        "Fix the parent flow's job: this one continues when the parent is ready.",
        ClearedBy.RELATIVE,
    )
    PLAN = (
        "plan",
        "Another plan is about to copy a caller of this flow.",
        "Approve that plan, or cancel it.",
    )
    RESOURCE = (
        "resource",
        "Another job writes the same app or secret.",
        "Nothing: the job continues when the other has written.",
    )
    GATHERING = (
        "gathering",
        "Other flows have callers in the same app, secret or flow, and all are written at once.",
        (
            "Nothing: the job continues with the last of them, once the others have stopped, or "
            "after `CMK_CALLER_BATCH_WAIT`."
        ),
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
            "The original still receives calls an hour after all known callers were updated: a "
            "caller was not found."
        ),
        (
            "Find who still calls it: its run history in Power Automate shows when, and what was "
            "sent. Give that caller the copy's URL. Nothing is lost meanwhile: the original "
            "works."
        ),
    )
    WATCHED = (
        "watched",
        "The copy is on after a cutover, and the app observes it.",
        "Nothing: the job continues when the time has passed.",
    )
    RUNNING = (
        "running",
        "A run that began before the change is in progress.",
        "Nothing: the job continues when the run is complete.",
    )
    UNDER_WAY = (
        "under_way",
        "An earlier invocation did not end, and its last write may still arrive.",
        "Nothing: the job continues when the write can no longer arrive.",
    )
    OVERWRITTEN = (
        "overwritten",
        (
            "An invocation that was frozen wrote older values into an app's settings or a secret. "
            "The app restores trigger URLs itself; the message names each other place."
        ),
        (
            "Set the named values to what they should be: a secret has its earlier versions, an "
            "app its activity log (Update web app settings)."
        ),
    )
    REPLAY = (
        "replay",
        (
            "The rollback would turn on a polling original, which then processes again what its "
            "copy has processed."
        ),
        "Roll back with `--replay-backlog` to accept that, or leave these flows out.",
    )

    # -- the delete of an original
    NOT_RETIRED = (
        "not_retired",
        "A deletion was requested for an original that is not retired.",
        "Wait until it is retired.",
    )
    TOO_EARLY = (
        "too_early",
        "The date of the deletion is too early.",
        "Choose the date that the message names, or a later one.",
    )
    RUNS = (
        "runs",
        "The run summaries of an original that is to be deleted are not archived yet.",
        "Nothing: the deletion continues when they are.",
    )
    ARCHIVE = (
        "archive",
        "The archive does not return what was stored, or the original's runs cannot be read.",
        "Find out what happened to the archive, then schedule the deletion again.",
    )
    CAME_BACK = (
        "came_back",
        "A retired original is on again: it and its copy may both run.",
        "Find out who turned it on; turn it off, then schedule the deletion again.",
    )
    DELETED = (
        "deleted",
        "The original was deleted, and its job is to be rolled back.",
        "Restore the flow until the day that the message names, then retry.",
    )

    # -- services, rows and what an administrator decides
    KILL_SWITCH = (
        "kill_switch",
        "The kill switch is on: the app writes nothing.",
        "Turn it off (`cmkflow kill-switch off --reason TEXT`) when what it was for is settled.",
    )
    WINDOW = (
        "window",
        "The environment's maintenance window is closed.",
        "Nothing; or another window: `cmkflow environment set ENVIRONMENT --window 22:00-04:00`.",
        ClearedBy.SETTING,
    )
    FLOW_JOBS = (
        "flow_jobs",
        "Flow jobs of the environment are in progress, or changed flows await approval.",
        "Approve the flows that have changed, if there are any.",
    )
    THROTTLED = (
        "throttled",
        "The platform allows no more requests at present, or the app's own budget does not.",
        "Nothing: the jobs continue when requests are left.",
    )
    TRANSIENT = (
        "transient",
        "A service works, and failed on this flow in every try.",
        "Check the flow in Power Automate, then retry.",
        ClearedBy.SWEEP,
    )
    DEFECT = (
        "defect",
        (
            "An internal error, five invocations in a row. The job has failed and nothing has "
            "changed since; in a cutover the original is on again."
        ),
        "Report it with this message; retry when the app is fixed.",
    )
    OUTAGE = (
        "outage",
        "A service does not answer.",
        (
            "Nothing: the jobs continue within twenty minutes of its return. Check Microsoft's "
            "service health."
        ),
    )
    STRAY_COPY = (
        "stray_copy",
        (
            "A copy exists or was on although its job is rolled back or cancelled. The daily "
            "check turns it off, unless the original is off."
        ),
        (
            "Check whether original and copy have both run. If nobody needs the copy, delete it "
            "in Power Automate."
        ),
    )
    LOAN = (
        "loan",
        "The service account is still co-owner of a flow that the app has read.",
        "Remove it from the flow's owners in Power Automate, if the app does not within the hour.",
    )
    SERVICE_TAGS = (
        "service_tags",
        "The file of `CMK_SERVICE_TAGS_FILE` is missing, or has no service tags.",
        (
            "Put Microsoft's list where CMK_SERVICE_TAGS_FILE says (or empty the setting, and the "
            "app asks Azure), then retry."
        ),
    )
    NOT_LOOKED_AT = (
        "not_looked_at",
        (
            "The daily check did not read whether some retired originals are on again. The next "
            "one begins with them."
        ),
        (
            "If it happens again: check whether the service answers, or raise "
            "`CMK_DATAVERSE_REQUESTS_PER_MINUTE` (a request reads 1,000 flows)."
        ),
    )
    RANGES_CHANGED = (
        "ranges_changed",
        "Microsoft's address ranges changed, and the named firewalls deny the new ones.",
        (
            "Open the firewalls that `cmkflow network changes` shows, or ignore each issue. Rules "
            "by service tag need no change."
        ),
    )
    RANGES_OLD = (
        "ranges_old",
        (
            "The list of service tags has not changed for ninety days, or could not be read for a "
            "week."
        ),
        (
            "Replace the file of `CMK_SERVICE_TAGS_FILE`, or check whether the app may read "
            "service tags."
        ),
    )
    KEY_PROBLEM = (
        "key_problem",
        "A key does not work, or will stop working.",
        "Do what the message says, then run `cmkflow keys check`.",
    )
    KEY_WARNING = (
        "key_warning",
        (
            "A key may stop working (it expires within 30 days, or its policy names one version), "
            "or could not be checked."
        ),
        "Do what the message says, then run `cmkflow keys check`.",
    )
    UNREADABLE_ROW = (
        "unreadable_row",
        "This version of the app cannot read a row.",
        "Do what the message says with the row that it names.",
    )
    CALL_BUDGET_RESET = (
        "call_budget_reset",
        (
            "A row of the table `requestbudgets` could not be read. The budget stopped for four "
            "minutes and began again from its setting."
        ),
        (
            "Nothing has to be done once. If it happens again, find out what else writes to the "
            "table requestbudgets."
        ),
    )
    ROW_SKIPPED = (
        "row_skipped",
        "A timer met an internal error with this row. It tries again each time.",
        "Report the message: it names the error's class and place.",
    )
