"""What is fast, measured from outside, with the ratios that matter. Nothing here runs in production."""
