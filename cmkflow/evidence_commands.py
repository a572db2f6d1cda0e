"""`cmkflow evidence`: keep what a remediation did as one file, and check such a file later."""

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

app = typer.Typer(no_args_is_help=True, help="Keep the evidence of a remediation, and check it.")

#: The host ends a request after 230 seconds.
_SECONDS = 240


def _written(answer: dict[str, str]) -> RenderableType:
    return Text(f"Written to {answer['file']}. SHA-256: {answer['sha256']}")


@api_command(app, "export", show=_written)
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
            help="The zip to write; left out: evidence-REMEDIATION.zip.",
            show_default=False,
        ),
    ] = None,
) -> dict[str, str]:
    """Write the evidence of a remediation to a zip, and say the SHA-256 of it."""
    path = ("remediations", remediation, "evidence")
    content = api.file(ApiCall(method="GET", path=path, seconds=_SECONDS), "application/zip")
    file = file or Path(f"evidence-{remediation}.zip")
    write_file(file, content)
    return {"file": str(file), "sha256": hashlib.sha256(content).hexdigest()}


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=named_file, help="Such a zip.")],
    no_pager: NoPager = False,
) -> None:
    """Check a zip of evidence against its manifest, offline. Exits with 1 if anything differs."""
    try:
        with file.open("rb") as content:
            found = list(find_manifest_differences(content))
            content.seek(0)
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as err:
        raise typer.BadParameter(f"{file} cannot be read: {err.strerror}.") from None
    except ValueError as err:
        echo(f"{file}: {err}", err=True)
        raise typer.Exit(1) from None
    if found:
        print_text(Text("\n".join(found)), is_paged=not no_pager)
        raise typer.Exit(1)
    echo(f"Every file is as the manifest says. SHA-256 of the whole: {digest}")
