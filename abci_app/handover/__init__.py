"""One committee hands over to the next: phases, readiness, the switch."""
