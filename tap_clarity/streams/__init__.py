"""The Singer streams: they tie what to ask for to how to ask for it."""
