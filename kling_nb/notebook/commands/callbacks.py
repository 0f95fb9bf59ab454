"""`%kling listen`: start or stop receiving callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from IPython.display import display

from kling_nb.callbacks.listen import listen
from kling_nb.core.errors import InvalidInput
from kling_nb.display.notice import show_notice
from kling_nb.jobs.default_session import default_session

__all__ = ["listening_line", "show_listening"]

_ALLOWED = "allowed: --url URL, --port N, --jupyter; or off"


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """What the words ask for."""

    url: str = ""
    port: int = 0
    jupyter: bool = False


def show_listening(words: Sequence[str]) -> None:
    """Listen as the words say, and show who listens; `off` ends it.

    Raises:
        InvalidInput: The words are no order.
        ConfigurationError: It cannot be listened like that.
    """
    if list(words) == ["off"]:
        default_session().callback_urls.stop()
        show_notice("info", "Stopped listening for callbacks")
        return
    order = read_order(words)
    display(listen(order.url, port=order.port, jupyter=order.jupyter))


def listening_line() -> list[str]:
    """Where the default session listens, as a line for a notice; none where it does not."""
    listening = default_session().callback_urls.listening
    return [f"listening at {listening.url}"] if listening is not None else []


def read_order(words: Sequence[str]) -> ListenOptions:
    """The order that the words spell.

    Raises:
        InvalidInput: They spell none.
    """
    url, port, jupyter, left = "", 0, False, list(words)
    while left:
        word = left.pop(0)
        if word == "--jupyter":
            jupyter = True
        elif word == "--url" and left:
            url = left.pop(0)
        elif word == "--port" and left and left[0].isascii() and left[0].isdigit():
            port = int(left.pop(0))
        else:
            raise InvalidInput.of("listen", repr(" ".join([word, *left[:1]])), _ALLOWED)
    return ListenOptions(url, port, jupyter)
