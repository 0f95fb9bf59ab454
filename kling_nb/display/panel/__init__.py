"""The panel: the form that a `ModelSpec` describes, its price, and the clips it made below it.

`controls` are the widgets, `fields`, `media` and `rows` tie them to parameters, `form` puts them
together and judges them, `results` are the cards, `recents` are clips to start from, and
`keepsake` is what stays in the notebook. The panel joins them to a session. It names no parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from IPython import get_ipython

from kling_nb.display.comm import without_comms
from kling_nb.jobs.default_session import default_session
from kling_nb.jobs.session import Session
from kling_nb.models.catalog import IMAGE_TO_VIDEO
from kling_nb.models.naming import find_model

from .panel import Panel

__all__ = ["Panel", "panel"]


@without_comms()
def panel(
    model: str = IMAGE_TO_VIDEO.name, *, session: Session | None = None, **values: object
) -> Panel:
    """The form of a model; its clips appear below it.

    Args:
        model: The service's name of the model that is chosen at first.
        session: Where clips are made; the default session unless told, also after `configure`.
        values: What the fields hold at first, by parameter.

    Raises:
        InvalidInput: The model is not known, or a value is not allowed.
        ConfigurationError: There is no session, e.g. live mode without a key.
    """
    current: Callable[[], Session] = default_session if session is None else lambda: session
    return Panel(find_model(model), current, values, _variables)


def _variables() -> Mapping[str, object]:
    shell = get_ipython()
    return {} if shell is None else shell.user_ns
