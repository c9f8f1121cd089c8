"""Tests of the streams in process."""
