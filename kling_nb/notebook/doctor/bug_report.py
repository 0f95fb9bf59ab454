"""Write a bug report as Markdown, and the last HTTP requests as a cassette, both to be published.

They contain no key, no prompt, no URL of an input or a result, and `~` for the home folder.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kling_nb.core.errors import InvalidInput, LedgerError
from kling_nb.core.formatting import format_count, to_one_line
from kling_nb.core.secret import Key
from kling_nb.core.version import __version__
from kling_nb.display.html import Finding
from kling_nb.jobs.session import Session
from kling_nb.jobs.settings import ENVIRONMENT, WEBHOOK_KEY, Settings
from kling_nb.kie.cassette import Scrubber, render_cassette
from kling_nb.models.spec import request_text
from kling_nb.notebook.text_file import write_text_file
from kling_nb.storage.inspect import LedgerSummary, summarize_ledger
from kling_nb.storage.job_record import JobRecord

from .environment import PACKAGES
from .folder import LEDGER

_LIBRARIES: Final = (
    *PACKAGES, "comm", "jupyterlab", "notebook", "jupyter-server", "nest-asyncio", "traitlets",
    "starlette", "tornado", "marimo",
)  # fmt: skip
_REASON_CHARS: Final = 500


def write_bug_report(
    findings: Sequence[Finding],
    session: Session | None,
    folder: Path | None,
    path: str,
    *,
    http: bool,
    replace: bool,
) -> list[str]:
    """Write the report, and with `http` the cassette beside it.

    Args:
        findings: What the doctor has found.
        session: The session; None if a setting is wrong.
        folder: The folder of clips; None if unknown.
        path: The Markdown file.
        http: Also write the last HTTP requests.
        replace: Overwrite existing files.

    Returns:
        The paths of the files.

    Raises:
        InvalidInput: A file exists or cannot be written, or there are no requests to write.
    """
    cassette_path = f"{os.path.splitext(path)[0]}.http.yaml"
    exchanges = session.http_log.exchanges() if session is not None else []
    if http and not exchanges:
        raise InvalidInput.of("http", "there are no requests to write", "omit --http")
    if http and os.path.exists(cassette_path) and not replace:
        raise InvalidInput.of("http", f"{cassette_path!r} exists", "`--replace` overwrites it")
    scrubber = _scrubber(session)
    summary = _summarize(folder)
    if isinstance(summary, LedgerSummary) and summary.last_failure is not None:
        _learn_request(scrubber, summary.last_failure)
    # Before the report, since a message there may quote a text of a request.
    title = f"kling_nb {__version__}: the last {format_count(len(exchanges), 'request')}"
    cassette = render_cassette(exchanges, scrubber, title)
    lines = [
        "# kling_nb: bug report",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Keys, prompts, inputs and results are left out.",
        *_section("Versions", _versions()),
        *_section("Settings", _settings(session)),
        *_section("Checks", list(map(_describe, findings))),
        *_section("Ledger", _ledger(summary)),
    ]
    text = "\n\n".join(scrubber.text(line) for line in lines)
    write_text_file("report", path, f"{text}\n", replace=replace)
    if http:
        write_text_file("http", cassette_path, cassette, replace=replace)
    return [path, cassette_path] if http else [path]


def _scrubber(session: Session | None) -> Scrubber:
    keys = [Key.seal(os.environ.get(name)) for name in (ENVIRONMENT["api_key"], WEBHOOK_KEY)]
    if session is not None and session.settings.key is not None:
        keys.append(session.settings.key)
    home = os.path.expanduser("~")
    return Scrubber(keys, (os.path.realpath(home), home))


def _learn_request(scrubber: Scrubber, record: JobRecord) -> None:
    """Let the scrubber recognize the texts of a request in messages."""
    scrubber.value(json.loads(json.dumps(dict(record.values))))
    scrubber.learn(request_text(record.values))


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"## {title}"
    yield "\n".join(f"- {line}" for line in lines)


def _versions() -> list[str]:
    found = []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return [f"kling_nb {__version__}", python, ", ".join(found)]


def _settings(session: Session | None) -> list[str]:
    names = sorted(name for name in (*ENVIRONMENT.values(), WEBHOOK_KEY) if os.environ.get(name))
    variables = f"Environment variables: {', '.join(names) or 'none'}"
    if session is None:
        return ["A setting is wrong; see Checks", variables]
    return [*_describe_settings(session.settings), variables]


def _describe_settings(settings: Settings) -> list[str]:
    tasks, polls = settings.rate_limits.new_tasks, settings.rate_limits.status_requests
    return [
        f"Mode: {settings.describe_mode()}",
        f"Folder: {settings.folder}",
        f"Hosts: {settings.api_url}, {settings.upload_url}",
        f"Emulated seconds: {settings.emulator_seconds:g}",
        f"Rate limits: create={tasks.limit}/{tasks.window_s:g},"
        f"status={polls.limit}/{polls.window_s:g}",
    ]


def _describe(finding: Finding) -> str:
    if finding.status == "asking":
        return f"{finding.name}: not checked; run `%kling doctor` in an earlier cell"
    return f"{finding.name}: {finding.status}. {to_one_line(finding.message)}"


def _summarize(folder: Path | None) -> LedgerSummary | str:
    """Return the summary of the ledger, or why there is none."""
    if folder is None or not (folder / LEDGER).exists():
        return "There is no ledger."
    try:
        return summarize_ledger(folder)
    except LedgerError as error:
        return str(error)


def _ledger(summary: LedgerSummary | str) -> list[str]:
    if isinstance(summary, str):
        return [summary]
    counts = (f"{number} {stage}" for stage, number in sorted(summary.jobs_by_stage.items()))
    failure = summary.last_failure
    return [
        f"Version: {summary.version}",
        f"Jobs: {', '.join(counts) or 'none'}",
        f"Last failure: {_describe_failure(failure) if failure else 'none'}",
    ]


def _describe_failure(record: JobRecord) -> str:
    code = f" (code {record.code})" if record.code else ""
    reason = to_one_line(record.reason, _REASON_CHARS) or "no reason recorded"
    return (
        f"job {record.id}, {record.stage} at {record.updated_at:%Y-%m-%d %H:%M} UTC, "
        f"{record.service}, {record.model}, take {record.take}{code}: {reason}"
    )
