"""Who goes on when a leader is lost: killed, frozen or cut off from the API server, in every phase of a rollout and of a surge."""
