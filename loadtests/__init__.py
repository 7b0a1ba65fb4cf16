"""Open-loop load, measured without mercy, and reports of it. Run from a clone; not part of the wheel."""
