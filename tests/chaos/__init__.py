"""Chaos as a tool: `python -m tests.chaos --runs 1000 --kills 200 --seed 7`."""
