"""The command line: parse, one call, print. Rooms load only when a command needs them."""
