"""Another release of the programs under a canary at half the traffic, and back: what pods, attempts and clients see."""
