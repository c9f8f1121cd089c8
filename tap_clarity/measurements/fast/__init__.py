"""The fast path: RECORD lines made of text, equal to those of the reference path."""
