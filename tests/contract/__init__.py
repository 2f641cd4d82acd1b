"""What every backend must do: one suite, run over each of them."""
