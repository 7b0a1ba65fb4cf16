"""How requests to services arrive: rate envelopes made up here and read from public traces, and arrivals drawn from them."""
