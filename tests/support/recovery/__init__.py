"""Runs that are interrupted, and checks that no data is lost."""
