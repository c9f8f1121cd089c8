"""Tests of tap-clarity; `python3 -m tests` runs all of them, and the linters."""
