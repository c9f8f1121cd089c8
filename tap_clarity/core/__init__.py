"""Clock, timestamps, frequencies and validators, which all packages use."""
