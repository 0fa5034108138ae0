"""The command line: one file a subcommand, heavy imports inside the functions so that `--help` is instant."""
