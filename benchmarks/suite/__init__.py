"""What is timed from version to version (asv): fronts, policies, the answers of a slider, start-up."""
