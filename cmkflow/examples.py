"""Examples at the end of each command's `--help`."""

import typer

#: By the words of a command.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "approve": (
        "cmkflow approve 2dad424e",
        'cmkflow approve 2dad424e --except "Answer the old app"',
        "cmkflow approve 2dad424e --version 3f9c1b2a7d604e51",
    ),
    "assess show": (
        "cmkflow assess show --environment Operations",
        "cmkflow assess show --all --policy cmk-europe --html page.html",
    ),
    "audit list": (
        "cmkflow audit list",
        "cmkflow audit list --result rejected --since 2026-11-01",
        "cmkflow audit list --limit 500 -o csv",
    ),
    "caller confirm": ('cmkflow caller confirm "SAP order portal" --flow "Orders"',),
    "caller declare": ("cmkflow caller declare callers.yaml",),
    "caller list": ("cmkflow caller list",),
    "caller remove": ('cmkflow caller remove "SAP order portal"',),
    "caller scan": (
        "cmkflow caller scan repository solution.zip",
        "cmkflow caller scan repository --ids flows.csv -o csv",
    ),
    "configure": (
        "cmkflow configure https://contoso-cmk.azurewebsites.net",
        "cmkflow configure https://fabrikam-cmk.azurewebsites.net --profile fabrikam",
        "cmkflow configure --profile fabrikam",
    ),
    "deletion cancel": ('cmkflow deletion cancel 2dad424e --flow "Print labels"',),
    "deletion list": ("cmkflow deletion list --state scheduled", "cmkflow deletion list 2dad424e"),
    "deletion schedule": ("cmkflow deletion schedule 2dad424e --date 2030-01-31",),
    "doctor": ("cmkflow doctor", "cmkflow doctor --full"),
    "environment failed-runs": ("cmkflow environment failed-runs Operations",),
    "environment ignore": (
        'cmkflow environment ignore Operations ISSUE --justification "own proxy"',
    ),
    "environment list": ("cmkflow environment list", "cmkflow environment list -o csv"),
    "environment set": (
        "cmkflow environment set Operations --approval-policy required --max-flows 5",
        'cmkflow environment set Operations --pilot "Print labels"',
        "cmkflow environment set Operations --maintenance-window 20:00-06:00",
    ),
    "environment solution-setting": (
        "cmkflow environment solution-setting Operations --turn-on",
        "cmkflow environment solution-setting Operations --revert",
    ),
    "environment show": ("cmkflow environment show Operations",),
    "evidence check": ("cmkflow evidence check evidence.zip",),
    "evidence export": ("cmkflow evidence export 2dad424e --file evidence.zip",),
    "flow list": ("cmkflow flow list Operations",),
    "flow show": (
        'cmkflow flow show "Post to ERP"',
        'cmkflow flow show "Post to ERP" --remediation 2dad424e',
    ),
    "health": ("cmkflow health", "cmkflow health --query kill_switch_on"),
    "inspect": ("cmkflow inspect exported", "cmkflow inspect solution.zip -o csv"),
    "key check": (
        "cmkflow key check",
        "cmkflow key check --vault contoso-vault --key contoso-key",
    ),
    "kill-switch off": ('cmkflow kill-switch off --justification "checked"',),
    "kill-switch on": ('cmkflow kill-switch on --justification "change freeze"',),
    "kill-switch show": ("cmkflow kill-switch show",),
    "login": (
        "cmkflow login https://contoso-cmk.azurewebsites.net",
        "cmkflow login --device-code",
        "cmkflow login --profile fabrikam",
    ),
    "logout": ("cmkflow logout",),
    "network called-hosts": (
        "cmkflow network called-hosts exported --service-tags f.json --region UKSouth",
    ),
    "network check": (
        "cmkflow network check --service-tags tags.json --firewalls exported",
        "cmkflow network check --service-tags f.json --firewalls rules --show-fix az",
    ),
    "network diff": ("cmkflow network diff --from old.json --to new.json",),
    "network firewalls": ("cmkflow network firewalls", "cmkflow network firewalls -o csv"),
    "network fix": (
        "cmkflow network fix --environment Operations",
        "cmkflow network fix nsg-erp --apply",
        "cmkflow network fix nsg-erp --revert",
    ),
    "network tag-changes": ("cmkflow network tag-changes --refresh",),
    "network trigger-hosts": ("cmkflow network trigger-hosts 2dad424e",),
    "plan show": (
        "cmkflow plan show 2dad424e",
        'cmkflow plan show 2dad424e --flow "Post to ERP"',
        "cmkflow plan show 2dad424e --html plan.html",
    ),
    "plan url-secrets": ("cmkflow plan url-secrets 2dad424e none --flow Orders",),
    "remediation cancel": ("cmkflow remediation cancel 2dad424e",),
    "remediation list": (
        "cmkflow remediation list --state blocked",
        'cmkflow remediation list --query "items[0].remediation.id" -o tsv',
    ),
    "remediation show": (
        "cmkflow remediation show 2dad424e",
        "cmkflow remediation show 2dad424e --full",
    ),
    "remediation start": (
        "cmkflow remediation start Operations",
        "cmkflow remediation start Operations --mode apply --name change-4711",
    ),
    "retry": (
        "cmkflow retry 2dad424e",
        'cmkflow retry 2dad424e --flow "Print labels"',
    ),
    "rollback": (
        'cmkflow rollback 2dad424e --flow "Print labels"',
        "cmkflow rollback 2dad424e",
    ),
    "run-archive create": ("cmkflow run-archive create 2dad424e",),
    "run-archive list": ("cmkflow run-archive list 2dad424e",),
    "service-account sign-in": ("cmkflow service-account sign-in",),
    "settings": ("cmkflow settings", "cmkflow settings --status changed -o csv"),
    "state export": (
        "cmkflow state export state.cmkflow --storage-account cmkstate",
        "cmkflow state export state.cmkflow --state-folder var/state --key-file key",
    ),
    "state import": ("cmkflow state import state.cmkflow --storage-account cmkstatenew",),
    "status": ("cmkflow status", "cmkflow status --query not_migrated"),
    "support-request list": ("cmkflow support-request list",),
    "support-request mark-filed": (
        "cmkflow support-request mark-filed Operations --ticket 2603020050001234",
    ),
    "support-request reopen": ("cmkflow support-request reopen Operations",),
    "support-request show": ("cmkflow support-request show Operations",),
    "watch": ("cmkflow watch 2dad424e", "cmkflow watch"),
    "whoami": ("cmkflow whoami",),
}


def add_examples(app: typer.Typer, words: tuple[str, ...] = ()) -> None:
    """Add examples to the help of each command of `app`.

    Raises `KeyError` if a command has none.
    """
    for command in app.registered_commands:
        name = " ".join((*words, str(command.name)))
        # The character keeps the lines of a paragraph (click.palletsprojects.com, "Documenting").
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  {one}" for one in EXAMPLES[name])
    for group in app.registered_groups:
        if group.typer_instance is not None:
            add_examples(group.typer_instance, (*words, str(group.name)))
