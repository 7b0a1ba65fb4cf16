"""What a replay found, as numbers, text and a page."""
