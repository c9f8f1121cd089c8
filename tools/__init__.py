"""Programs that generate documents and reliability tables."""
