# For type checkers: `kling_nb/__init__.py` registers the module under this name.
from .core.errors import *  # noqa: F403
