"""The service as its users meet it: a real server on the synthetic sample city."""
