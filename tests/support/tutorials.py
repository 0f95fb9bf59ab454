"""What the text of each tutorial says about its outputs, as data, and the check after Run All.

The tests read executed notebooks: the committed ones, and those that JupyterLab has saved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nbformat import NotebookNode

from kling_nb.display.html import Section, find_sections

__all__ = ["TUTORIALS", "Claim", "Tutorial", "contradictions"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A phrase of the text, and what the output of a cell must show for it to be true."""

    phrase: str
    """From a Markdown cell of the notebook."""
    cell: str
    """The id of the code cell."""
    shows: tuple[str, ...] = ()
    """Texts that its output contains."""
    lacks: tuple[str, ...] = ()
    """Texts that its output does not contain."""


@dataclass(frozen=True, slots=True)
class Tutorial:
    """What the outputs of a notebook show after Run All in a new folder."""

    clips: int
    """The number of different clips."""
    cards: Mapping[str, int]
    """The number of cards by state; there are no others."""
    claims: tuple[Claim, ...]


NO_CREDITS = "No credits are spent"

TUTORIALS: Mapping[str, Tutorial] = {
    "quickstart": Tutorial(
        clips=3,
        cards={"saved": 3},
        claims=(
            Claim("no credits are spent", "cell-01", ("emulator (as configured)",)),
            Claim("the three clips would cost 220 credits", "cell-15", ("55", "110")),
            Claim(
                "A dry run shows the price of a request and sends nothing",
                "cell-06",
                ("220 credits ($1.10)", "balance 5,861 → 5,641", "Nothing was sent."),
            ),
            Claim(
                "the path of its file, its measurements, and its frames",
                "cell-await",
                (".mp4: 5 s, 640×426", "size=320x213"),
            ),
            Claim("The same works from Python", "cell-08", ("AAC", "110 credits ($0.55)")),
            Claim("The card of the clip appears in the panel above", "cell-11", ("Saved",)),
            Claim("run this cell, which does the same", "cell-13", (".mp4: 5 s",), ("Saved",)),
            Claim(
                "All three clips are saved",
                "cell-15",
                ("A hand lifts", "The camera circles", "Steam rises", "saved"),
                ("accepted",),
            ),
        ),
    ),
    "panel": Tutorial(
        clips=3,
        cards={"saved": 3},
        claims=(
            Claim("no credits are spent", "panel-01", ("emulator (as configured)",)),
            Claim(
                "the values of the fields, their problems",
                "panel-05",
                ("kling-2.6/image-to-video: 5 s, 0 problems", ".mp4: 5 s"),
            ),
            Claim("The card appears in the panel above", "panel-03", ("Saved", "Steam rises")),
            Claim("`--take` gives its number", "panel-09", ("take 2", "Saved")),
            Claim(
                "the gallery has the clip of the panel and both takes",
                "panel-11",
                ("3 clips", "Steam rises", "A spoon stirs"),
            ),
        ),
    ),
    "models": Tutorial(
        clips=5,
        cards={"saved": 5},
        claims=(
            Claim("no credits are spent", "models-01", ("emulator (as configured)",)),
            Claim("the price is per second", "models-03", ("per second of video",)),
            Claim("the clip starts with the first image", "models-08", ("Saved", "3.0 s")),
            Claim("the sum of the shots", "models-11", ("Saved", "5.0 s", "70 credits")),
            Claim(
                "A dry run shows the price and sends nothing",
                "models-14",
                ("1 element", "135 credits", "Nothing was sent."),
            ),
            Claim("3 seconds at 11 credits each", "models-17", ("Saved", "33 credits")),
            Claim(
                "the image is too small, and the model does not have the mode",
                "models-19",
                ("mode: '4K'", "image: image 240×160 pixels"),
            ),
            Claim("The clip is as long as the file", "models-22", ("Saved", "2.0 s", "AAC")),
            Claim("The options are arguments of `kling.generate`", "models-24", ("Saved",)),
            Claim("the cost of all five", "models-26", ("33", "112", "16", "42", "203")),
        ),
    ),
    "money": Tutorial(
        clips=2,
        cards={"saved": 3, "unknown": 1, "failed": 1},
        claims=(
            Claim(NO_CREDITS, "money-01", ("emulator (as configured)",)),
            Claim(
                "the price of the clip, and the balance before and after it",
                "money-03",
                ("220 credits ($1.10)", "balance 5,916 → 5,696", "Nothing was sent."),
            ),
            Claim(
                "calls that cannot be priced, such as `panel.generate()`",
                "money-05",
                ("panel.generate()", "not priced", "at least 165 credits", "(dry run)"),
            ),
            Claim("until the clip is saved", "money-07", ("Saved", "would cost", "55 credits")),
            Claim("returns the saved clip for 0 credits", "money-09", ("0 credits now",)),
            Claim("A budget is a hard limit", "money-11", ("55 of 200 credits", "145 left")),
            Claim(
                "This clip would cost 220 credits",
                "money-12",
                ("220 credits ($1.10)", "Nothing was sent."),
            ),
            Claim(
                "the balance fell by exactly the price",
                "money-15",
                ("Answer lost", "from 5,861 to 5,806", "exactly the price"),
            ),
            Claim("sends nothing and costs nothing", "money-17", ("charged: 0 credits",)),
            Claim("`adopt` downloads the clip for 0 credits", "money-19", ("Saved",)),
            Claim(
                "the service's message, its meaning, the cost, and what to change",
                "money-21",
                ("Failed", "CONTENT_POLICY_BLOCKED", "It cost nothing", "Change the prompt"),
            ),
            Claim(
                "A failed task costs nothing: the balance is the same as before",
                "money-failed",
                ("CONTENT_POLICY_BLOCKED", "charged: 0 credits"),
            ),
            Claim("the two clips of this notebook", "money-23", ("2", "110"), ("165",)),
            Claim(
                "the mode, the balance, the budgets and the running jobs",
                "money-24",
                ("emulator (as configured)", "balance 5,806 credits", "0 running"),
            ),
        ),
    ),
    "callbacks": Tutorial(
        clips=2,
        cards={"saved": 2, "unknown": 1},
        claims=(
            Claim(NO_CREDITS, "callbacks-01", ("emulator (as configured)",)),
            Claim("starts a small server", "callbacks-03", ("Listening: True",)),
            Claim("Make clips as usual", "callbacks-04", ("Saved",)),
            Claim("the emulator loses an answer on purpose", "callbacks-20", ("Answer lost",)),
            Claim("so the job resumes", "callbacks-21", ("Saved", "A drop falls")),
            Claim("Both new clips had one", "callbacks-received", ("'accepted': 2",)),
        ),
    ),
    "front_ends": Tutorial(
        clips=1,
        cards={"saved": 1},
        claims=(
            Claim("no credits are spent", "ends-load", ("emulator (as configured)",)),
            Claim("You see one of two sentences", "ends-script", ("HTML object",)),
            Claim("each line says OK", "ends-doctor", ("Front end: ", "Python: "), ("BROKEN",)),
            Claim("Then it shows the clip", "ends-card", ("Saved", "AAC")),
            Claim(
                "the second one when the clip is saved",
                "ends-wait",
                ("has started", ".mp4: 5 s, 640×360"),
            ),
            Claim("The gallery has one clip", "ends-gallery", ("1 clip", "Waves roll")),
            Claim(
                "It contains versions, settings and what the page answered: no key and no prompt",
                "ends-report",
                ("## Versions", "Mode: emulator", "- Front end: ", "1 saved", "- [ ] gallery"),
                ("Waves roll",),
            ),
        ),
    ),
    "live": Tutorial(
        clips=1,
        cards={"saved": 2},
        claims=(
            Claim(
                "the first cell selects the emulator", "live-setup", ("emulator (as configured)",)
            ),
            Claim("shows the balance and the mode", "live-balance", ("balance 5,916", "emulator")),
            Claim("enough for one clip of 25 credits", "live-budget", ("0 of 30 credits",)),
            Claim(
                "the balance and the budget before and after it",
                "live-price",
                ("25 credits ($0.13)", "5,916 → 5,891", "budget left 30 → 5", "Nothing was sent."),
            ),
            Claim("it costs 25 credits", "live-clip", ("Saved", "25 credits ($0.13)")),
            Claim(
                "saved in the folder `kling_clips/first_clip`",
                "live-file",
                ("first_clip/", ".mp4", "5 s, "),
            ),
            Claim("shows the saved clip for 0 credits", "live-again", ("0 credits now",)),
            Claim("`%kling jobs` lists the jobs", "live-jobs", ("saved", "emulator", "25")),
            Claim("the charges that the service reports", "live-spend", ("25", "$0.13")),
            Claim("This command switches the running kernel", "live-back", ("emulator",)),
        ),
    ),
}
"""By the name of the notebook's file."""


def contradictions(notebook: NotebookNode, tutorial: Tutorial) -> list[str]:
    """Return what the outputs of an executed notebook show otherwise than its text says."""
    cells = {cell.id: cell for cell in notebook.cells}
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    found = list(_wrong_cards(list(_sections(notebook)), tutorial))
    for claim in tutorial.claims:
        if claim.phrase not in text:
            found.append(f"the text does not say {claim.phrase!r}")
        shown = _output_text(cells[claim.cell]) if claim.cell in cells else ""
        wrong = [f"lacks {each!r}" for each in claim.shows if each not in shown]
        wrong += [f"has {each!r}" for each in claim.lacks if each in shown]
        found += [f"{claim.phrase!r}: the output of {claim.cell} {each}" for each in wrong]
    return found


def _wrong_cards(sections: list[Section], tutorial: Tutorial) -> Iterator[str]:
    cards = Counter(section.state for section in sections)
    if cards != tutorial.cards:
        yield f"the cards are {dict(cards)}, not {dict(tutorial.cards)}"
    clips = {section.job_id for section in sections if section.state == "saved"}
    if len(clips) != tutorial.clips:
        yield f"there are {len(clips)} clips, not {tutorial.clips}"


def _sections(notebook: NotebookNode) -> Iterator[Section]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield from find_sections(output.get("data", {}).get("text/html", ""))


def _output_text(cell: NotebookNode) -> str:
    """Return what a cell has printed and displayed, as plain text."""
    outputs = cell.get("outputs", [])
    return "\n".join(
        each.get("text", each.get("data", {}).get("text/plain", "")) for each in outputs
    )
