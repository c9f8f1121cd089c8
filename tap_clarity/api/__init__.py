"""How to talk to Clarity: knows nothing of Singer."""
