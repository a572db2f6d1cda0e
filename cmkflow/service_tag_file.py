"""Read Microsoft's service tag list from a file."""

import json
from pathlib import Path

import typer

from cmkflow.terminal import echo
from shared.domain.network.service_tags import ServiceTagList, read_service_tags


def read_service_tag_list(path: Path) -> ServiceTagList:
    """Return the service tag list in a file. Prints an error and exits if the file has none."""
    try:
        return read_service_tags(json.loads(path.read_bytes()))
    except OSError as err:
        problem = err.strerror or str(err)
    except (ValueError, RecursionError) as err:
        problem = str(err)
    echo(f"{path}: {problem}", err=True)
    raise typer.Exit(1)
