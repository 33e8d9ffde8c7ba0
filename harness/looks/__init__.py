"""What is run inside containers to look at them."""
