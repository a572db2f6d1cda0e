"""Says how to go on in another terminal: lines that are pasted there as they are."""

import sys
from pathlib import Path
from shlex import quote

from local_cloud.demo.azure import POLICY_SYSTEM_ID
from local_cloud.demo.tenant import OPERATIONS
from local_cloud.link import CONTROL
from local_cloud.stack import ROOT, Stack

_TEXT = """\
The local cloud and the app are running. In another terminal:

  cd {root}
  export PATH={bin}:$PATH NO_PROXY=127.0.0.1,localhost
  export CMKFLOW_API={api}
  export CMKFLOW_KEY={key}
  export {control}={control_url}
  export OPERATIONS={environment}
  export POLICY={policy}

Then assess the environment Operations, opt it in, and apply the key:

  cmkflow assess --environment Operations --policy cmk-europe
  cmkflow environment set Operations --mode approve
  python -m local_cloud link $OPERATIONS $POLICY

Half a minute later a plan waits for you. docs/first-hour.md goes on from here.

Other clients reach the tenant through HTTPS_PROXY={proxy}
with the certificates of {ca_file}
Service Bus: {service_bus}
Logs: {logs}
Stop with Ctrl-C."""


def directions(stack: Stack) -> str:
    """Return what to paste, and where everything of a stack is; the function key is in it."""
    return _TEXT.format(
        root=quote(str(ROOT)),
        bin=quote(str(Path(sys.executable).parent)),
        api=stack.app.url,
        key=quote(stack.app.key),
        control=CONTROL,
        control_url=stack.tenant.control,
        environment=OPERATIONS.id,
        policy=POLICY_SYSTEM_ID,
        proxy=stack.tenant.proxy,
        ca_file=stack.tenant.ca_file,
        service_bus=stack.service_bus,
        logs=stack.options.folder,
    )
