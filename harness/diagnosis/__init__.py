"""The doctor: evidence, what it says of each node, the rules that judge it, and the judgement. No input, no output."""
