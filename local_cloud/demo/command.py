"""Run the commands `demo` and `up` of the local cloud."""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from cmkflow.terminal import Terminal
from local_cloud.apply_policy import CONTROL
from local_cloud.demo.azure import POLICY_SYSTEM_ID
from local_cloud.demo.progress import DemoProgress
from local_cloud.demo.report import Report, print_summary, read_documented_report, write_reports
from local_cloud.demo.run import DemoOptions, DemoRun
from local_cloud.demo.tenant import OPERATIONS, SIGN_IN_CLIENT_ID, TENANT_ID
from local_cloud.demo.view import run_with_view
from local_cloud.stack import ROOT, Stack
from local_cloud.tenant.core.profiles import Profile

_TEXT = """\
The local cloud and the app are running. In another terminal:

  cd {root}
  export PATH={bin}:$PATH NO_PROXY=127.0.0.1,localhost
  export CMKFLOW_API={api}
  export CMKFLOW_TENANT_ID={tenant} CMKFLOW_CLIENT_ID={client}
  export HTTPS_PROXY={proxy} REQUESTS_CA_BUNDLE={ca_file}
  export {control}={control_url}
  export OPERATIONS={environment}
  export POLICY={policy}
  cmkflow login --device-code

That signs you in as admin@contoso.example. Nobody approves a remediation that they started:
`python -m local_cloud person approver@contoso.example` chooses who signs in next.
A browser chooses at {api}/api/dashboard who you are.
Then assess the environment Operations, opt it in, and apply the key:

  cmkflow assess show --environment Operations --policy cmk-europe
  cmkflow environment set Operations --approval-policy required
  python -m local_cloud link $OPERATIONS $POLICY

Half a minute later, a plan awaits your approval. docs/first-hour.md continues from here.

Other clients reach the tenant through HTTPS_PROXY={proxy}
with the certificates of {ca_file}
Service Bus: {service_bus}
Logs: {logs}
The tenant exists in memory only. When this stops, its flows, remediations and audit trail are lost,
and the next start begins from the beginning.
Stop with Ctrl-C."""


def format_directions(stack: Stack) -> str:
    """Return directions for a person: commands to paste, and addresses."""
    return _TEXT.format(
        root=quote(str(ROOT)),
        bin=quote(str(Path(sys.executable).parent)),
        api=stack.app.url,
        tenant=TENANT_ID,
        client=SIGN_IN_CLIENT_ID,
        control=CONTROL,
        control_url=stack.tenant.control,
        environment=OPERATIONS.id,
        policy=POLICY_SYSTEM_ID,
        proxy=stack.tenant.proxy,
        ca_file=stack.tenant.ca_file,
        service_bus=stack.service_bus,
        logs=stack.options.folder,
    )


#: Each command and profile has a folder of its own: two can run at the same time, and starting
#: everything keeps the demo's report.
FOLDERS = {
    ("demo", Profile.DOCUMENTED): ROOT / "var" / "demo",
    ("demo", Profile.ADVERSARIAL): ROOT / "var" / "demo-adversarial",
    ("up", Profile.DOCUMENTED): ROOT / "var" / "up",
    ("up", Profile.ADVERSARIAL): ROOT / "var" / "up-adversarial",
}


async def play_demo(options: DemoOptions) -> int:
    """Play the demo and write its reports.

    Return 0 if no call was lost and each flow ended as expected.
    """
    console = Terminal()
    console.print("Starting the local cloud and the app …")
    async with DemoRun(options) as demo:
        progress: DemoProgress = demo.watcher.progress
        outcome = await run_with_view(console, progress, demo.play())
        report = Report(
            outcome=outcome,
            account=demo.traffic.account,
            meter=demo.meter,
            seconds=progress.seconds,
            notes=progress.notes,
            ended_at=datetime.now(UTC),
            profile=options.profile,
            documented=await asyncio.to_thread(
                read_documented_report, FOLDERS["demo", Profile.DOCUMENTED]
            ),
        )
    await asyncio.to_thread(write_reports, report, options.folder)
    print_summary(console, report)
    console.print(f"Reports: {options.folder / 'report.html'}, and .json", soft_wrap=True)
    return 0 if report.has_succeeded else 1


async def stay_up(options: DemoOptions) -> int:
    """Start the local cloud, the app and the traffic, print what to do next, and wait."""
    console = Terminal()
    console.print(
        "Starting the local cloud and the app from the beginning. "
        f"State and logs of an earlier run in {options.folder} are deleted …",
        soft_wrap=True,
    )
    async with DemoRun(replace(options, signs_in=True)) as demo:
        demo.start_traffic()
        console.print(format_directions(demo.stack), soft_wrap=True)
        while True:
            demo.stack.check()
            await asyncio.sleep(1)
