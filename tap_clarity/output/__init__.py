"""How records leave the tap: messages on standard output, or batch files."""
