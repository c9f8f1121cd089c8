"""Hostile responses, and a search for leaked secrets."""
