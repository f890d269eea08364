"""An edge and a server on this machine as if they were two: control groups, network namespaces, and a slow link between."""
