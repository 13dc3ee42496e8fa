"""Whether the shares of this committee open the keys: sampled ones, in the exponent."""
