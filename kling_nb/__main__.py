"""The command line: `python -m kling_nb emulator | doctor | jobs`."""

from __future__ import annotations

import argparse
import sys

from kling_nb.core.console import print_text
from kling_nb.core.errors import KlingError

from .emulator import serve


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m kling_nb")
    commands = parser.add_subparsers(required=True)
    emulator = commands.add_parser("emulator", help="serve an emulator of kie.ai on this machine")
    serve.add_arguments(emulator)
    emulator.set_defaults(run=serve.run)
    jobs = commands.add_parser("jobs", help="list the jobs of this folder, newest first")
    jobs.set_defaults(run=list_jobs)
    doctor = commands.add_parser("doctor", help="check the installation, and suggest fixes")
    doctor.set_defaults(run=run_doctor)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except KlingError as error:
        print(error, file=sys.stderr)
        return 1


def list_jobs(_args: argparse.Namespace) -> int:
    """Print the jobs of the folder as a table."""
    from kling_nb.display.html import table_text
    from kling_nb.jobs.default_session import default_session

    rows = [
        (row.id, f"{row.created_at:%Y-%m-%d %H:%M}", row.shown_stage, row.title or row.prompt)
        for row in default_session().jobs()
    ]
    print_text(table_text(("job", "made (UTC)", "stage", "prompt"), rows))
    return 0


def run_doctor(_args: argparse.Namespace) -> int:
    """Print the findings; return 1 if something is broken."""
    from kling_nb.display.html import findings_text
    from kling_nb.jobs.default_session import default_session
    from kling_nb.notebook.doctor.report import examine

    findings = examine(default_session, "terminal")
    print_text(findings_text(findings))
    return int(any(each.status == "bad" for each in findings))


if __name__ == "__main__":
    sys.exit(main())
