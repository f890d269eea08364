"""Another cut when the link becomes another: estimated from real exchanges, chosen by a policy that was made before the run."""
