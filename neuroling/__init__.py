"""Language models against the brain: encoding, RSA and N400 simulation through one evaluation call."""

__version__ = "0.1.0"
