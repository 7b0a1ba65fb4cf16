"""The subcommands, one a module: each reads what is asked, calls what decides, and shows the answer."""
