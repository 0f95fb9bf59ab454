# For type checkers: `kling_nb/__init__.py` registers `core.errors` under this name at run time.
from .core.errors import *  # noqa: F403
