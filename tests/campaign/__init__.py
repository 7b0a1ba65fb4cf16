"""The real operator against the fake API store, in virtual time, with faults between them."""
