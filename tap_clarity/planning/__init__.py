"""What to ask for: pure functions over plain values, without I/O, clock or Singer."""
