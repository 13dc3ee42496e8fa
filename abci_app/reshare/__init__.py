"""The keys of a committee move batch by batch to the next one."""
