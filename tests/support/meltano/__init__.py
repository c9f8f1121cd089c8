"""A Meltano project and the GitHub workflow that runs it."""
