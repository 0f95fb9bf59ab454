"""Write a text file that the user named, without overwriting one by accident."""

from __future__ import annotations

from kling_nb.core.errors import InvalidInput


def write_text_file(field: str, path: str, text: str, *, replace: bool) -> None:
    """Write a new file.

    Args:
        field: The option that names the file, for the error.
        path: The file.
        text: The content.
        replace: Overwrite an existing file.

    Raises:
        InvalidInput: The file exists, or cannot be written.
    """
    try:
        with open(path, "w" if replace else "x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        advice = "`--replace` overwrites it; or name another file"
        raise InvalidInput.of(field, f"{path!r} exists", advice) from None
    except OSError as error:
        message = f"{path!r} cannot be written ({error.strerror})"
        raise InvalidInput.of(field, message, "free some space, or choose another folder") from None
