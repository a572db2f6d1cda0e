"""Define the reason codes: what has happened, and what a person does about it.

docs/runbook.md shows them as a table. An error of the platform keeps the platform's own code: see
shared/domain/platform_errors.py.
"""

from enum import Enum, StrEnum


class ClearedBy(Enum):
    """An event that clears a reason automatically, so that no person has to retry."""

    DEPENDENT_FLOW = "dependent_flow"  #: a dependent job reached the step that this job waits for
    SOLUTION_BATCH = (
        "solution_batch"  #: the first job of the batch sent the request for all of them
    )
    OTHER_JOB = "other_job"  #: another job that this job waits for has stopped
    SETTINGS_CHANGE = "settings_change"  #: an administrator changed the setting
    DAILY_CHECK = "daily_check"  #: the daily check found what it waits for


class Reason(StrEnum):
    """A reason code, as stored in rows and shown in API responses and the runbook."""

    #: What has happened, as one sentence for the runbook.
    meaning: str
    #: What a person does about it. The code that raises the reason may give a more exact text.
    fix: str
    #: None: only a retry or the passing of time clears it.
    cleared_by: ClearedBy | None

    def __new__(
        cls, code: str, meaning: str, fix: str, ended_by: ClearedBy | None = None
    ) -> "Reason":
        """Create the member. It compares equal to its code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.fix = fix
        member.cleared_by = ended_by
        return member

    @classmethod
    def list_cleared_by(cls, what: ClearedBy) -> tuple["Reason", ...]:
        """Return the reasons that this kind of event clears."""
        return tuple(reason for reason in cls if reason.cleared_by is what)

    # -- the plan and its approval
    ENVIRONMENT_NOT_FOUND = (
        "environment_not_found",
        "The environment does not exist, or the app cannot read it.",
        "Check the environment's id and the app's rights, then retry; or cancel the remediation.",
    )
    KEY_NOT_APPLIED = (
        "key_not_applied",
        "No enterprise policy is applied to the environment.",
        "Apply a policy first. Until then, use the mode assess, dry_run or prepare.",
    )
    KEY_ALREADY_APPLIED = (
        "key_already_applied",
        "A key was applied before every flow was prepared.",
        "Cancel the job, then start a remediation in mode `apply`.",
    )
    ENVIRONMENT_READ_ONLY = (
        "environment_read_only",
        "The environment's approval policy is `read_only`.",
        "Run `cmkflow environment set ENVIRONMENT --approval-policy required`, then retry.",
    )
    PLATFORM_MIGRATION_RUNNING = (
        "platform_migration_running",
        "The platform migration is in progress.",
        "Nothing: the job continues when the platform migration is complete.",
    )
    PLATFORM_MIGRATION_STALLED = (
        "platform_migration_stalled",
        "For four days, the platform has not moved flows that it should move to the key.",
        ("Open a ticket with Microsoft's support, or exclude the named flows; then retry."),
    )
    CALLER_SEARCH_INCOMPLETE = (
        "caller_search_incomplete",
        "The app cannot read a place that may contain callers, such as a vault or an app.",
        "Grant the right that the message names, then retry.",
    )
    PLAN_CHANGED = (
        "plan_changed",
        "The plan has changed since this version was shown.",
        "Read the plan again, then approve its new version.",
    )
    APPROVAL_EXPIRED = (
        "approval_expired",
        "The plan is too old to be approved.",
        "Start a new remediation.",
    )
    FLOW_EXCLUDED = (
        "flow_excluded",
        ("The flow was excluded after it was planned, or after its deletion was scheduled."),
        "To continue, remove the flow from the environment's excluded flows, then retry.",
    )
    SELF_APPROVAL_NOT_ALLOWED = (
        "self_approval_not_allowed",
        "The person who started a remediation may not approve its plan or deletions.",
        "Ask another approver.",
    )
    IDEMPOTENCY_KEY_REUSED = (
        "idempotency_key_reused",
        "This idempotency key has already started another remediation.",
        "Use a new idempotency key for each new remediation.",
    )

    # -- the original and its copy
    ORIGINAL_DELETED = (
        "original_deleted",
        "The original was deleted.",
        "Restore the original in Power Automate within 21 days, then retry; or cancel the job.",
    )
    DEPENDENCY_DELETED = (
        "dependency_deleted",
        "Something that the job needs was deleted.",
        "Restore what is missing, then retry; or cancel the job.",
    )
    ORIGINAL_EDITED = (
        "original_edited",
        ("The original was edited, or a flow that it calls was rolled back."),
        "Check the edit, then retry: the app copies the flow as it is now.",
    )
    TRIGGER_CHANGED = (
        "trigger_changed",
        ("The original's trigger has changed, or the app does not know it."),
        "Roll the job back, then start a new remediation.",
    )
    DEFINITION_UNREADABLE = (
        "definition_unreadable",
        "The app cannot read the original's definition.",
        "Save the flow once in Power Automate, then retry.",
    )
    MANAGED_SOLUTION = (
        "managed_solution",
        "The flow is part of a managed solution.",
        (
            "Copy the flow where its solution is developed, release the solution, then start a new "
            "remediation."
        ),
    )
    OWNER_UNAVAILABLE = (
        "owner_unavailable",
        (
            "The copy's owner is disabled or not a user of the environment, or the app may "
            "not act for others."
        ),
        ("Enable or change the owner, or give the app the role Delegate; then retry."),
    )
    CUSTOM_CONNECTOR_REFERENCE_MISSING = (
        "custom_connector_reference_missing",
        "The flow uses a connection of a custom connector without a connection reference.",
        ("Create a connection reference in a solution that contains the connector, then retry."),
    )
    CONNECTION_REFERENCE_MISMATCH = (
        "connection_reference_mismatch",
        "The copy's connection reference does not use the original's connection.",
        (
            "Choose the named connection in Power Apps (Default solution, Connection "
            "references), or create another reference, then retry."
        ),
    )
    SHARING_REJECTED = (
        "sharing_rejected",
        "The platform rejects or does not keep the copy's sharing.",
        ("Give the app the role System Administrator, or share the copy yourself; then retry."),
    )
    SOLUTION_REJECTED = (
        "solution_rejected",
        "The copy cannot be added to a solution of the original.",
        "Add the copy to the solution in Power Automate, then retry.",
    )
    FLOW_STATE_NOT_CHANGED = (
        "flow_state_not_changed",
        (
            "A flow is on or off contrary to what the job needs: the platform did not apply an "
            "accepted request, or somebody turned the flow on or off. In a cutover, the app has "
            "turned the original on again."
        ),
        "Read the flow checker and turn the flow on or off yourself, then retry.",
    )
    NOTHING_TO_APPROVE = (
        "nothing_to_approve",
        "No plan of the remediation awaits approval, or the approval includes no flow of a plan.",
        (
            "Check the remediation: its plan may not be ready yet, or it was approved or has "
            "expired. If the approval includes no flow, include one, with all flows that it runs."
        ),
    )
    FLOW_NAME_NOT_CHANGED = (
        "flow_name_not_changed",
        "The platform accepted a flow's new name, but did not keep it.",
        "Retry. If that fails, rename the flow, then retry.",
    )
    BOTH_OFF = (
        "both_off",
        "Original and copy are both off: the flow does not run.",
        "Have the owner turn on, in Power Automate, the flow that the message names.",
    )
    START_WOULD_FAIL = (
        "start_would_fail",
        "If the original or its copy were turned off, it could not be turned on again.",
        (
            "Fix what the message names, then retry. Or accept that a rollback may be "
            "impossible: `cmkflow environment ignore ENVIRONMENT NAME --justification TEXT`."
        ),
    )
    COPY_CHANGED = (
        "copy_changed",
        "The copy was deleted, edited before it was verified, or is off.",
        (
            "Repeat any edit of the copy in the original. Roll the job back or cancel it, then "
            "start a new remediation."
        ),
    )
    COPY_DIFFERS = (
        "copy_differs",
        "The platform stored a copy that differs from the one that the app wrote.",
        (
            "Compare the copy with the original, correct it in Power Automate, and report the "
            "difference to the project."
        ),
    )
    ORIGINAL_AND_COPY_EDITED = (
        "original_and_copy_edited",
        "Original and copy were both edited, and the app would overwrite the copy.",
        "Repeat in the original what was edited in the copy, then retry.",
    )
    COPY_ON_MICROSOFT_KEY = (
        "copy_on_microsoft_key",
        "The copy is on Microsoft's key.",
        (
            "Retry when the platform migration is complete. If the copy is still on "
            "Microsoft's key then, open a support ticket."
        ),
    )
    TRIGGER_URL_NOT_NEW = (
        "trigger_url_not_new",
        "The copy has the original's trigger URL.",
        "Open a support ticket: the platform did not create a separate flow.",
    )
    TRIGGER_URL_FORMAT_UNKNOWN = (
        "trigger_url_format_unknown",
        "The app does not know the format of the copy's trigger URL.",
        "Report the URL, without its signature, to the project.",
    )
    FIREWALL_DENIES = (
        "firewall_denies",
        "A firewall denies the copy's addresses, or may deny them.",
        (
            "Allow them for every named region, then retry; or ignore the issue (`cmkflow "
            "environment ignore`)."
        ),
        ClearedBy.DAILY_CHECK,
    )
    OUTBOUND_CALL_BLOCKED = (
        "outbound_call_blocked",
        (
            "A call by a copy was denied or timed out. Until this is fixed, the app retires no "
            "original that calls this host."
        ),
        "Allow the copy's addresses in the firewall that the message names.",
        ClearedBy.DAILY_CHECK,
    )
    FIREWALL_FIX_FAILED = (
        "firewall_fix_failed",
        ("The app cannot change the firewall as approved, or Azure did not keep the change."),
        (
            "Make the change that `cmkflow network fix` shows, then retry. If Azure reverts "
            "it, see the resource's activity log."
        ),
        ClearedBy.DAILY_CHECK,
    )
    FIREWALL_FIX_UNFINISHED = (
        "firewall_fix_unfinished",
        "The result of a firewall change is unknown.",
        ("Run the same command again: `cmkflow network fix RESOURCE --apply` or `--revert`."),
    )
    NO_DATAVERSE = (
        "no_dataverse",
        "The environment has no Dataverse, so it has no solution setting.",
        "Add Dataverse to the environment in the Power Platform admin center.",
    )
    SOLUTION_SETTING_NOT_KEPT = (
        "solution_setting_not_kept",
        "Dataverse accepted a change of the solution setting, but did not keep it.",
        "Change the setting in the Power Platform admin center.",
    )
    SOLUTION_SETTING_UNCHANGED = (
        "solution_setting_unchanged",
        "The app has not changed the solution setting of this environment.",
        "Nothing: there is no change to revert.",
    )
    SOLUTION_SETTING_UNFINISHED = (
        "solution_setting_unfinished",
        "The result of a change of the solution setting is unknown.",
        (
            "Run the same command again: `cmkflow environment solution-setting ENVIRONMENT "
            "--turn-on` or `--revert`."
        ),
    )
    FIREWALL_FIX_IN_USE = (
        "firewall_fix_in_use",
        "Copies need the firewall change that is to be reverted.",
        "First roll back the remediations that the message names, or add `--force`.",
    )
    ISSUE_NOT_FOUND = (
        "issue_not_found",
        "No firewall issue and no firewall has this name.",
        "Use one of the names in the response.",
    )
    WRITE_NOT_VISIBLE = (
        "write_not_visible",
        "The platform accepted a change, but does not show it after `CMK_READ_BACK_TIMEOUT`.",
        "Check whether the change was made, then retry.",
    )
    WAITING_FOR_PILOT_FLOWS = (
        "waiting_for_pilot_flows",
        "The pilot flows, or flows that they run, are not migrated yet.",
        "Nothing: the other flows start when the pilot flows work.",
    )
    WAITING_FOR_MICROSOFT_KEY_LIST = (
        "waiting_for_microsoft_key_list",
        ("The Microsoft-key list has not been read since the copy was created."),
        ("Nothing: the list is read after `CMK_READ_LAG`, then every `CMK_WAIT_POLL_INTERVAL`."),
    )

    # -- without a copy
    WAITING_FOR_SOLUTION_BATCH = (
        "waiting_for_solution_batch",
        "Flows that are added to a solution together with this one are not ready.",
        "Nothing: the job continues with them.",
        ClearedBy.SOLUTION_BATCH,
    )
    NOT_ADDED_TO_SOLUTION = (
        "not_added_to_solution",
        "An hour after the app asked to add the flow to a solution, it is in none.",
        (
            "Add the flow in Power Automate (Solutions › Add existing › Automation › Cloud flow › "
            "Outside Dataverse), then retry."
        ),
    )
    CONVERSION_NOT_POSSIBLE = (
        "conversion_not_possible",
        "Since it was planned, the definition has a new part that the app cannot convert.",
        (
            "In the designer, replace the part that the message names with its V2, then retry; "
            "or cancel the job."
        ),
    )
    CONVERTED_FLOW_EDITED = (
        "converted_flow_edited",
        "A converted definition was edited, so the app does not restore the earlier one.",
        "Restore the definition from the job's archive, then retry.",
    )
    CONVERSION_DIFFERS = (
        "conversion_differs",
        "The platform stored a definition that differs from the one that the app wrote.",
        (
            "Compare the definition with the archive, correct and save it, then retry; report the "
            "difference to the project."
        ),
    )
    CONNECTION_REFERENCES_LOST = (
        "connection_references_lost",
        ("A rejected save removed the flow's connection references."),
        (
            "Choose a connection for each named reference and save the flow, then retry. The "
            "archive has the earlier definition (`ENVIRONMENT/FLOW/before-JOB.json`)."
        ),
    )

    # -- callers and dependent flows
    SERVICE_ACCOUNT_SIGNED_OUT = (
        "service_account_signed_out",
        "The service account is not set up, or its sign-in has expired.",
        "Run `cmkflow service-account sign-in`, then retry.",
    )
    CALLER_WRITE_LOST = (
        "caller_write_lost",
        "A caller does not keep what the app writes, or cannot be reverted.",
        (
            "Find what else writes the caller, such as a pipeline. Make the change there, then "
            "retry."
        ),
    )
    MANUAL_CALLER = (
        "manual_caller",
        ("A manual caller still has the original's URL or id (in a rollback: the copy's)."),
        "Change the caller as the message says, then retry.",
        ClearedBy.DAILY_CHECK,
    )
    NOTIFICATION_CHANNEL_USES_FLOW = (
        "notification_channel_uses_flow",
        ("A notification channel of this app posts to the flow that is to be turned off."),
        (
            "Change the setting that the message names to the copy's URL (in a rollback: the "
            "original's), then retry."
        ),
        ClearedBy.DAILY_CHECK,
    )
    CHILD_FLOW_NOT_READY = (
        "child_flow_not_ready",
        "A child flow is not ready, or is blocked.",
        "If the child flow is blocked, fix its job. This job then continues.",
        ClearedBy.DEPENDENT_FLOW,
    )
    PARENT_FLOW_NOT_READY = (
        "parent_flow_not_ready",
        "A parent flow is not ready, or is blocked.",
        "If the parent flow is blocked, fix its job. This job then continues.",
        ClearedBy.DEPENDENT_FLOW,
    )
    WAITING_FOR_OTHER_PLAN = (
        "waiting_for_other_plan",
        "Another plan is about to copy a caller of this flow.",
        "Approve or cancel the other plan.",
    )
    WAITING_FOR_RESOURCE_LEASE = (
        "waiting_for_resource_lease",
        "Another job is writing to the same app or secret.",
        "Nothing: the job continues when the other job has written.",
    )
    BATCHING_CALLER_WRITES = (
        "batching_caller_writes",
        "Other flows have callers in the same resource. One write will update all of them.",
        ("Nothing: the job continues after `CMK_CALLER_BATCH_WAIT` at the latest."),
        ClearedBy.OTHER_JOB,
    )
    NO_CALL_PERIOD = (
        "no_call_period",
        "The flow that is to be turned off must first receive no calls for `CMK_NO_CALL_PERIOD`.",
        "Nothing: the job continues after a no-call period without calls.",
        ClearedBy.DAILY_CHECK,
    )
    LATE_CALLER = (
        "late_caller",
        ("An unknown caller still calls the original. No call is lost."),
        (
            "Find the caller in the original's run history, and give it the copy's URL. To let the "
            "app identify it, run `cmkflow environment set ENVIRONMENT --observe-callers`."
        ),
    )
    MONITORING_PERIOD = (
        "monitoring_period",
        "The app monitors the copy after a cutover.",
        "Nothing: the job continues after `CMK_MONITORING_PERIOD`.",
    )
    FLOW_RUN_IN_PROGRESS = (
        "flow_run_in_progress",
        "A flow run that began before the change is in progress.",
        "Nothing: the job continues when the run is complete.",
    )
    WRITE_IN_FLIGHT = (
        "write_in_flight",
        "The last write of an earlier invocation may still arrive.",
        "Nothing: the job continues when the write can no longer arrive.",
    )
    STALE_WRITE = (
        "stale_write",
        (
            "A delayed invocation wrote older values to a caller. The app restores trigger "
            "URLs only."
        ),
        (
            "Restore the values that the message names: a secret's from its earlier versions, "
            "others from your own records."
        ),
    )
    BACKLOG_REPLAY = (
        "backlog_replay",
        (
            "The rollback would turn on a polling original, which would then process again the "
            "events that its copy has already processed."
        ),
        (
            "Add `--accept-replay` to accept that. Or roll back only the other flows, with a "
            "`--flow` option for each."
        ),
    )

    # -- the deletion of an original
    ORIGINAL_NOT_RETIRED = (
        "original_not_retired",
        "A deletion was requested for an original that is not retired.",
        "Wait until the original is retired.",
    )
    DELETION_DATE_TOO_EARLY = (
        "deletion_date_too_early",
        "The date of the deletion is too early.",
        "Choose the date that the message names, or a later one.",
    )
    ARCHIVING_FLOW_RUNS = (
        "archiving_flow_runs",
        "The run summaries of the original are not archived yet.",
        "Nothing: the deletion continues when they are archived.",
    )
    ARCHIVE_FAILED = (
        "archive_failed",
        "The archive does not return what was stored, or the original's runs cannot be read.",
        "Check the archive or the runs, as the message says. Then schedule the deletion again.",
    )
    RETIRED_ORIGINAL_ON = (
        "retired_original_on",
        "A retired original is on again: it and its copy may both run.",
        (
            "Turn the original off, and find out who turned it on. If its deletion was blocked, "
            "schedule the deletion again."
        ),
    )
    ORIGINAL_ALREADY_DELETED = (
        "original_already_deleted",
        "The original was deleted, and its job is to be rolled back.",
        "Restore the flow by the day that the message names, then retry.",
    )

    # -- services, rows and settings
    KILL_SWITCH_ON = (
        "kill_switch_on",
        "The kill switch is on: the app does not make this change.",
        (
            "Turn the kill switch off when its cause is fixed: `cmkflow kill-switch off "
            "--justification TEXT`."
        ),
    )
    OUTSIDE_MAINTENANCE_WINDOW = (
        "outside_maintenance_window",
        "The environment's maintenance window is closed.",
        (
            "Nothing: the job continues when the window opens. To change the window, run `cmkflow "
            "environment set ENVIRONMENT --maintenance-window 22:00-04:00`."
        ),
        ClearedBy.SETTINGS_CHANGE,
    )
    FLOW_JOBS_IN_PROGRESS = (
        "flow_jobs_in_progress",
        "Flow jobs are in progress, or changed flows await approval.",
        "Approve the changed flows, if there are any.",
    )
    THROTTLED = (
        "throttled",
        "The platform, or the app's request budget, allows no request at present.",
        "Nothing: the jobs continue when requests are left.",
    )
    RETRIES_EXHAUSTED = (
        "retries_exhausted",
        "The service works, but every request for this flow failed.",
        "Check the flow in Power Automate and its callers, then retry.",
        ClearedBy.DAILY_CHECK,
    )
    INTERNAL_ERROR = (
        "internal_error",
        (
            "Five invocations in a row met an internal error. In a cutover, the original is on "
            "again."
        ),
        "Report the message to the project; retry when the app is fixed.",
    )
    SERVICE_OUTAGE = (
        "service_outage",
        "A service does not answer.",
        (
            "Nothing: the jobs continue within twenty minutes after the service answers again. "
            "Check Microsoft's service health."
        ),
    )
    ENVIRONMENT_DISABLED = (
        "environment_disabled",
        "The platform has disabled the environment, as it does when its key cannot be used.",
        (
            "Restore the key: enable or recover it, or grant access to it again. The jobs continue "
            "within twenty minutes. If the key works, check the environment in the admin center."
        ),
    )
    STORAGE_KEY_UNUSABLE = (
        "storage_key_unusable",
        "The app's storage account cannot use its customer-managed key, so the app has stopped.",
        (
            "Restore the key of the storage account: enable or recover it, or grant the account "
            "access to it again. Everything continues automatically."
        ),
    )
    ORPHANED_COPY = (
        "orphaned_copy",
        (
            "A copy exists, or was on, although its job is rolled back or cancelled. The daily "
            "check turns it off if the original is on."
        ),
        ("Check whether both have run. If nobody needs the copy, delete it in Power Automate."),
    )
    GRANT_NOT_REVOKED = (
        "grant_not_revoked",
        "The service account is still co-owner of a flow.",
        ("If it is still a co-owner in an hour, remove it from the flow's owners."),
    )
    SERVICE_TAG_LIST_UNREADABLE = (
        "service_tag_list_unreadable",
        "The file of `CMK_SERVICE_TAGS_FILE` is missing, or has no service tags.",
        (
            "Provide the file of `CMK_SERVICE_TAGS_FILE`, or empty the setting so that the app "
            "asks Azure; then retry."
        ),
    )
    RETIRED_ORIGINALS_NOT_CHECKED = (
        "retired_originals_not_checked",
        (
            "The daily check did not reach all retired originals within its time limit. The next "
            "daily check starts with those that it missed."
        ),
        ("If the alert repeats, check the service, or raise `CMK_DATAVERSE_REQUESTS_PER_MINUTE`."),
    )
    ADDRESS_RANGES_CHANGED = (
        "address_ranges_changed",
        "Microsoft's address ranges have changed, and firewalls deny the new ones.",
        (
            "Allow the new address ranges in the firewalls that `cmkflow network tag-changes` "
            "shows, or ignore each issue."
        ),
    )
    ADDRESS_RANGES_OUTDATED = (
        "address_ranges_outdated",
        "The service tag list is over ninety days old, or has been unreadable for a week.",
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
    STORE_OF_ANOTHER_VERSION = (
        "store_of_another_version",
        "Another version of the app wrote the store, or its import is incomplete.",
        "Do what the message says.",
    )
    UNREADABLE_ROW = (
        "unreadable_row",
        "This version of the app cannot read a row.",
        "Do what the message says with the row that it names.",
    )
    REQUEST_BUDGET_RESET = (
        "request_budget_reset",
        ("A row of the table `requestbudgets` was unreadable; the budget began again."),
        ("If the alert repeats, find what else writes to the table."),
    )
    ROW_SKIPPED = (
        "row_skipped",
        "A timer met an internal error with this row. It tries the row again each time it runs.",
        "Report the message to the project.",
    )
