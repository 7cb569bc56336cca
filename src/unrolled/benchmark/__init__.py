"""Whether this machine has in order what the package uses."""
