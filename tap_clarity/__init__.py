"""Singer tap for the air-quality measurements of Clarity (clarity.io)."""
