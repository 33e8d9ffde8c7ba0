"""How well the doctor names what was broken, and which scenarios notice it."""
