"""Files that somebody damaged on purpose, and a process that watches what the package does with them."""
