"""`cmkflow evidence`: export the evidence for a remediation, and check an evidence file."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.named_files import named_file, write_file
from cmkflow.names import RemediationId
from cmkflow.pager import NoPager, print_text
from cmkflow.terminal import echo
from shared.domain.evidence_file import find_manifest_differences

app = typer.Typer(no_args_is_help=True, help="Export the evidence for a remediation, and check it.")

#: The Functions host ends a request after 230 seconds.
_SECONDS = 240


def _format_result(answer: dict[str, str]) -> RenderableType:
    return Text(f"Wrote {answer['file']}. SHA-256: {answer['sha256']}")


@api_command(app, "export", show=_format_result)
def export(
    api: ApiClient,
    remediation: RemediationId,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            parser=named_file,
            help="Zip file to write. Default: evidence-REMEDIATION.zip.",
            show_default=False,
        ),
    ] = None,
) -> dict[str, str]:
    """Write the evidence for a remediation to a zip file, and print its SHA-256 hash."""
    path = ("remediations", remediation, "evidence")
    content = api.file(ApiCall(method="GET", path=path, seconds=_SECONDS), "application/zip")
    file = file or Path(f"evidence-{remediation}.zip")
    write_file(file, content)
    return {"file": str(file), "sha256": hashlib.sha256(content).hexdigest()}


@app.command("check")
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", parser=named_file, help="Evidence file to check.")
    ],
    no_pager: NoPager = False,
) -> None:
    """Check an evidence file against its manifest, offline. Exits with 1 if a file differs."""
    try:
        with file.open("rb") as content:
            found = list(find_manifest_differences(content))
            content.seek(0)
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as err:
        raise typer.BadParameter(f"Cannot read {file}: {err.strerror}.") from None
    except ValueError as err:
        echo(f"{file}: {err}", err=True)
        raise typer.Exit(1) from None
    if found:
        print_text(Text("\n".join(found)), is_paged=not no_pager)
        raise typer.Exit(1)
    echo(f"All files match the manifest. SHA-256 of the evidence file: {digest}")
