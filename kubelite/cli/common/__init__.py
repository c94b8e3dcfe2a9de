"""What every command shares: the command table, dispatch, options, output, diagnostics."""
