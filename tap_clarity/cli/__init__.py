"""The command line: options, validation of the configuration, and `--plan`."""
