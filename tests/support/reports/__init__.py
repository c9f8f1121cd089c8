"""Runs of report streams and of report jobs."""
