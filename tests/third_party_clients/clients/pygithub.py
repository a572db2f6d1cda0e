"""Use PyGithub with a token."""

import os

from caller_places import URL, run
from github import Auth, Github, GithubException

REPOSITORY = Github(auth=Auth.Token(os.environ["GITHUB_TOKEN"]), retry=None).get_repo(
    "contoso/shop"
)


def create_hook() -> str:
    config = {"url": URL, "content_type": "json", "secret": "x"}
    REPOSITORY.create_hook("web", config, events=["push"], active=True)
    return list_hooks()


def create_hook_without_address() -> str:
    """Try to create a webhook without a URL."""
    try:
        return str(REPOSITORY.create_hook("web", {"content_type": "json"}).id)
    except GithubException as error:
        return f"rejected: {error.status}"


def create_variable(name: str = "FLOW") -> str:
    try:
        return REPOSITORY.create_variable(name, URL).value
    except GithubException as error:
        return f"rejected: {error.status}"


def list_hooks() -> str:
    found = [one.config for one in REPOSITORY.get_hooks()]
    return ", ".join(f"{one['content_type']} {one['url']} {one['secret']}" for one in found)


def list_variables() -> str:
    return ", ".join(f"{one.name} {one.value}" for one in REPOSITORY.get_variables())


WRITES = {
    "create_hook": create_hook,
    "create_hook, no URL": create_hook_without_address,
    "create_variable": create_variable,
    "create_variable, again": create_variable,
    "create_variable, no name": lambda: create_variable("1 FLOW"),
}
READS = {
    "get_repo": lambda: REPOSITORY.full_name,
    "get_hooks": list_hooks,
    "get_variables": list_variables,
    "get_variable": lambda: REPOSITORY.get_variable("FLOW").value,
}

if __name__ == "__main__":
    run(WRITES, READS, "PyGithub")
