"""The command line: `python -m kling_nb emulator | doctor | jobs`."""

from __future__ import annotations

import argparse
import sys

from kling_nb.core.console import print_text
from kling_nb.core.errors import KlingError

from .emulator import serve

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m kling_nb")
    commands = parser.add_subparsers(required=True)
    serving = commands.add_parser("emulator", help="serve a stand-in for kie.ai on this machine")
    serve.add_arguments(serving)
    serving.set_defaults(run=serve.run)
    listing = commands.add_parser("jobs", help="list the jobs of this folder, newest first")
    listing.set_defaults(run=list_jobs)
    examining = commands.add_parser("doctor", help="what works here, and the fix for what does not")
    examining.set_defaults(run=examine_here)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except KlingError as error:
        print(error, file=sys.stderr)
        return 1


def list_jobs(_args: argparse.Namespace) -> int:
    """Print the folder's jobs as a table."""
    from kling_nb.display.html import table_text
    from kling_nb.jobs.default_session import default_session

    rows = [
        (row.id, f"{row.created_at:%Y-%m-%d %H:%M}", str(row.stage), row.prompt)
        for row in default_session().jobs()
    ]
    print_text(table_text(("job", "made (UTC)", "stage", "prompt"), rows))
    return 0


def examine_here(_args: argparse.Namespace) -> int:
    """Print what is found; 1 when something is broken."""
    from kling_nb.display.html import findings_text
    from kling_nb.jobs.default_session import default_session
    from kling_nb.notebook.doctor import examine

    findings = examine(default_session, "terminal")
    print_text(findings_text(findings))
    return int(any(each.status == "bad" for each in findings))


if __name__ == "__main__":
    sys.exit(main())
