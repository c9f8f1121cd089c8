"""Tables of behaviour that tests try and documents show."""
