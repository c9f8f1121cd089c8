"""Simple models and strategies for the tests of planning."""
