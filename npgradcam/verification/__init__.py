"""The identities that every right implementation satisfies, held against the user's own model."""

from .record import Check, Randomised, Verification
from .verify import default_images, verify

__all__ = ["Check", "Randomised", "Verification", "default_images", "verify"]
