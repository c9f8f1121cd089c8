"""Tests of single modules; the folders mirror `tap_clarity`."""
