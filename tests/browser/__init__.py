"""JupyterLab in a real browser: what a person sees when cells run, reload, and are mailed around.

`lab` starts a server, `notebook` drives one open notebook, `stories` writes the notebooks that
are driven, `look` photographs one of them for a designer's eye.
"""
