"""The zoo: architectures of many kinds, each profiled and split at random cuts, beside the whole network bit for bit."""
