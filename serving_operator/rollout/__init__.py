"""What must hold while one revision takes over from another: pure functions of what was observed."""
