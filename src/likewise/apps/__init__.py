"""What a person asks for: learn, map, and the demo that does both."""
