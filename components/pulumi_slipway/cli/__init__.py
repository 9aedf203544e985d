"""The operator's tool `slipway`: what is on the server of a stack, and back to an earlier release."""
