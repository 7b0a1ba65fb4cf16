"""What replicas must cost at least, and what they cost somebody who knows the demand beforehand."""
