"""``sewd push``."""

import argparse

from sewd_runtime.bundle.card import CARD_NAME
from sewd_runtime.bundle.folder import find_bundle
from sewd_runtime.bundle.hub import HUB_ID
from sewd_runtime.bundle.pushing import push
from sewd_runtime.commands._command import DONE, SOME_FAILED, WHICH_MODEL, complain
from sewd_runtime.inference.inspection import inspect_bundle
from sewd_runtime.system.terminal import printable

HELP = "Upload a bundle to the Hugging Face Hub, with a model card."
EXAMPLES = """\
  sewd push my-bundle owner/name
  sewd push my-bundle owner/name --private
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    group = command.add_argument_group("input")
    group.add_argument("model", metavar="BUNDLE", help=f"checked before: {WHICH_MODEL}")
    group = command.add_argument_group("output", "Log in with: hf auth login, or set HF_TOKEN.")
    text = "repository, which is made if there is none: owner/name"
    group.add_argument("repository", type=_parse_hub_id, metavar="REPOSITORY", help=text)
    group.add_argument("--private", action="store_true", help="make a private repository")
    text = f"replace a {CARD_NAME} that sewd did not write, or that was edited since"
    group.add_argument("--replace-card", action="store_true", help=text)


def run(options: argparse.Namespace) -> int:
    """Check the bundle, upload it and print the address of the commit."""
    bundle = find_bundle(options.model)
    inspection = inspect_bundle(bundle)
    failures = [f"{check.precision}: {check.failure}" for check in inspection.checks if check.failure]
    for failure in (*inspection.bad_files.values(), *failures):
        complain(f"not uploaded: {failure}")
    if not inspection.passed:
        return SOME_FAILED
    pushed = push(bundle, options.repository, private=options.private, replace_card=options.replace_card)
    print(printable(pushed.url))
    if pushed.kept_card:
        complain(
            f"{options.repository}: its {CARD_NAME} was kept: sewd did not write it, or it was edited since"
        )
    return DONE


def _parse_hub_id(text: str) -> str:
    if not HUB_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not owner/name")
    return text
