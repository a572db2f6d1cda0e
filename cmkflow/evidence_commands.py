"""`cmkflow evidence`: export the evidence for a remediation, and check an evidence file."""

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.named_files import parse_file_name, write_file
from cmkflow.names import RemediationId
from cmkflow.printing import NoPager, print_text
from cmkflow.terminal import echo
from shared.errors import CmkflowError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

app = typer.Typer(no_args_is_help=True, help="Export the evidence for a remediation, and check it.")

#: The Functions host ends a request after 230 seconds.
_SECONDS = 240


def _format_export_result(answer: dict[str, str]) -> RenderableType:
    return Text(f"Wrote {answer['file']}. SHA-256: {answer['sha256']}")


@api_command(app, "export", show=_format_export_result)
def export_evidence(
    api: ApiClient,
    remediation: RemediationId,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            parser=parse_file_name,
            help="Zip file to write. Default: evidence-REMEDIATION.zip.",
            show_default=False,
        ),
    ] = None,
) -> dict[str, str]:
    """Write the evidence for a remediation to a zip file, and print its SHA-256 hash.

    Examples:
        cmkflow evidence export 2dad424e --file evidence.zip
    """
    path = ("remediations", remediation, "evidence")
    content = api.download_file(
        ApiCall(method="GET", path=path, seconds=_SECONDS), "application/zip"
    )
    file = file or Path(f"evidence-{remediation}.zip")
    write_file(file, content)
    return {"file": str(file), "sha256": hashlib.sha256(content).hexdigest()}


@app.command("check")
def check_evidence_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", parser=parse_file_name, help="Evidence file to check.")
    ],
    sha256: Annotated[
        str,
        typer.Option(metavar="HASH", help="Expected SHA-256 of the file.", show_default=False),
    ] = "",
    key_id: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Expected key, such as https://VAULT.vault.azure.net/keys/NAME. Reads the public "
            "key from the vault, as the account of `az login`.",
            show_default=False,
        ),
    ] = "",
    public_key: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            parser=parse_file_name,
            help="Expected public key, as PEM. Repeat it for earlier versions of the key.",
            show_default=False,
        ),
    ] = None,
    tsa_certificates: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            parser=parse_file_name,
            help="Trusted certificates of the time stamp authority, as PEM: its root, and "
            "intermediates that the time stamp does not contain.",
            show_default=False,
        ),
    ] = None,
    no_pager: NoPager = False,
) -> None:
    """Check the files, the signature, the time stamp and the audit entries of an evidence file.

    Works offline, unless you use --key-id. Exits with 1 if something is wrong.

    Examples:
        cmkflow evidence check evidence.zip
    """
    from cmkflow.evidence_check import ExpectedEvidence, check_evidence

    try:
        expected = ExpectedEvidence(
            sha256=sha256,
            fingerprints=frozenset(map(_read_key_fingerprint, public_key or ())),
            key_id=key_id,
            tsa_certificates=_read_certificates(tsa_certificates),
            read_public_key=_read_public_key,
        )
        with file.open("rb") as content:
            found = check_evidence(content, expected)
    except OSError as err:
        raise typer.BadParameter(f"Cannot read {err.filename}: {err.strerror}.") from None
    except (ValueError, CmkflowError) as err:
        echo(f"{file}: {err}", err=True)
        raise typer.Exit(1) from None
    print_text(Text("\n".join(found.lines)), is_paged=not no_pager)
    if found.problems:
        raise typer.Exit(1)


def _read_key_fingerprint(path: Path) -> str:
    from shared.signatures import compute_fingerprint

    try:
        return compute_fingerprint(path.read_text())
    except ValueError as err:
        raise typer.BadParameter(f"{path}: {err}") from None


def _read_certificates(path: Path | None) -> "tuple[Certificate, ...]":
    from shared.time_stamps import load_certificates

    try:
        return tuple(load_certificates(path.read_bytes())) if path else ()
    except ValueError as err:
        raise typer.BadParameter(f"{path}: {err}") from None


def _read_public_key(key_id: str) -> str:
    from cmkflow.signing_key import read_signing_key

    return asyncio.run(read_signing_key(key_id)).public_key
