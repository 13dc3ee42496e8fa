"""Supervision of one node's five processes. Standard library only: it must outlive everything else."""
