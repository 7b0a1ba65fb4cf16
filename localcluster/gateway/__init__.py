"""A small Gateway API implementation that programs Envoy through files."""
