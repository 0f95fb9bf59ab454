"""The plan from one seed: the runs, their troubles, and the kills.

Pure: the same numbers give the same plan.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.chaos.troubles import CALM, TROUBLES, Trouble

__all__ = ["PICTURES", "STEPS", "WAYS", "Kill", "Run", "Strike", "make_plan"]

PICTURES = {"red.png": "firebrick", "blue.png": "steelblue"}
"""The images in every folder: file name → colour."""

STEPS = ("intended", "sending", "accepted", "succeeded", "download", "saved")
"""Where a kernel can be struck: just before it notes that stage, or fetches the clip."""

WAYS = ("magic", "waiting magic", "generate")
"""How a cell requests a clip."""

CALM_SHARE = 0.15
WINDOW_SHARE = 0.6
"""How many of the kills are aimed at a step; the others come at any time."""
WINDOW_S = 0.03
RUN_S = 1.3
"""About how long a run takes."""


@dataclass(frozen=True, slots=True)
class Kill:
    """`kill -9`, so long after a step; after the cell was sent where `step` is empty."""

    step: str
    after_s: float


@dataclass(frozen=True, slots=True)
class Strike:
    """A trouble of the kernel or of the ledger."""

    step: str
    """Empty for a trouble that begins so long after the cell was sent."""
    after_s: float
    amount_s: float
    """How long it lasts; for a clock, how far it jumps."""


@dataclass(frozen=True, slots=True)
class Run:
    """One request, made from one cell."""

    number: int
    lane: int
    way: str
    prompt: str
    duration: str
    sound: bool
    picture: str
    """A file name of `PICTURES`, or empty for a clip from words."""
    trouble: str
    times: int
    strike: Strike | None
    kill: Kill | None
    again: bool
    """Whether a person runs the cell once more afterwards."""

    @property
    def model(self) -> str:
        """The service's name of the model."""
        return f"kling-2.6/{'image' if self.picture else 'text'}-to-video"

    @property
    def request(self) -> tuple[str, dict[str, object]]:
        """The model and the other arguments of `kling.generate` for the same request."""
        image = {"image": self.picture} if self.picture else {}
        asked = {"prompt": self.prompt, "duration": int(self.duration), "sound": self.sound}
        return self.model, {**asked, **image}

    @property
    def cell(self) -> str:
        """What stands in the cell."""
        if self.way == "generate":
            model, arguments = self.request
            return f"import kling_nb as kling\nkling.generate({model!r}, **{arguments!r})"
        options = [f"-d {self.duration}", "--sound" if self.sound else "--no-sound"]
        options += [f"-i {self.picture}"] if self.picture else []
        options += ["--wait"] if self.way == "waiting magic" else []
        return f"%%kling {' '.join(options)}\n{self.prompt}"


def make_plan(seed: int, runs: int, kills: int, lanes: int) -> tuple[Run, ...]:
    """The runs in their order; each lane plays its own, one after another.

    Every trouble comes about equally often, so that a small plan has nearly all of them.

    Raises:
        ValueError: more kills than runs.
    """
    if not 0 <= kills <= runs:
        raise ValueError(f"kills: {kills} is not allowed; use 0 to {runs}, the number of runs")
    chance = random.Random(seed)
    calm = round(runs * CALM_SHARE)
    names = list(TROUBLES) * (runs // len(TROUBLES) + 1)
    troubles = [CALM] * calm + names[: runs - calm]
    chance.shuffle(troubles)
    killed = set(chance.sample(range(runs), kills))
    return tuple(
        make_run(chance, seed, number, number % lanes, trouble, number in killed)
        for number, trouble in enumerate(troubles)
    )


def make_run(
    chance: random.Random, seed: int, number: int, lane: int, name: str, killed: bool
) -> Run:
    """One run with that trouble."""
    trouble = TROUBLES.get(name, Trouble(CALM))
    picture = chance.choice(list(PICTURES))
    return Run(
        number=number,
        lane=lane,
        way=chance.choice(WAYS),
        prompt=f"Chaos {seed}, run {number}: {chance.getrandbits(64):016x}",
        duration=chance.choice(("5", "5", "10")),
        sound=chance.random() < 0.2,
        picture=picture if trouble.needs_picture or chance.random() < 0.4 else "",
        trouble=name,
        times=chance.randint(1, trouble.most),
        strike=make_strike(chance, trouble),
        kill=make_kill(chance, trouble) if killed else None,
        again=chance.random() < 0.3,
    )


def make_kill(chance: random.Random, trouble: Trouble) -> Kill:
    """A random instant: near a step, or any; with a ledger that cannot take an id, just then."""
    if trouble.is_after_answer:
        return Kill("accepted", chance.uniform(0, WINDOW_S))
    if chance.random() < WINDOW_SHARE:
        return Kill(chance.choice(STEPS), chance.uniform(0, WINDOW_S))
    return Kill("", chance.uniform(0, RUN_S))


def make_strike(chance: random.Random, trouble: Trouble) -> Strike | None:
    """When a trouble that is not the service's begins, and how much of it."""
    match trouble.name:
        case "clock-jump":
            jump_s = chance.choice((-86_400.0, -3_600.0, -60.0, 60.0, 3_600.0, 86_400.0))
            return Strike(chance.choice(STEPS), 0.0, jump_s)
        case "disk-full":
            return Strike(chance.choice(STEPS), 0.0, chance.uniform(0.05, 0.8))
        case "note-disk-full" | "note-locked" | "note-garbled" | "note-lost":
            return Strike("answered", 0.0, chance.uniform(0.8, 2.0))
        case "fork":
            return Strike(chance.choice(STEPS), 0.0, 0.0)
        case "ledger-locked":
            return Strike("", chance.uniform(0, RUN_S / 2), chance.uniform(0.05, 1.5))
    return None
