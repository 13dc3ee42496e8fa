"""The pure part of Authnet: cryptography, protocol rules, wire formats. No I/O, clock, randomness or logging."""
