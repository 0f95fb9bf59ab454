"""Cards of jobs and clips: saved HTML, and its updates while a kernel runs.

The saved part is HTML behind a display id. The page draws progress and buttons below it, through
`comm`. `mimebundle` renders and displays cards, `card` decides what is shown and when,
`metadata` is the machine-readable part; the HTML is in `display/html`.
"""
