"""What the autoscaler does about faults and changes, in simulation, request by request."""
