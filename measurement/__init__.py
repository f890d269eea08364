"""Networks to profiles."""
