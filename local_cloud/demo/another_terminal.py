"""Format the commands with which a person uses the local cloud from another terminal."""

import sys
from pathlib import Path
from shlex import quote

from local_cloud.apply_policy import CONTROL
from local_cloud.demo.azure import POLICY_SYSTEM_ID
from local_cloud.demo.tenant import OPERATIONS, SIGN_IN_CLIENT_ID, TENANT_ID
from local_cloud.stack import ROOT, Stack

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
    """Return the commands to paste, which sign a person in, and the stack's addresses."""
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
