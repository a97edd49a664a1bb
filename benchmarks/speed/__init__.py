"""How fast the project is beside what a user would pick instead: ``python -m benchmarks.speed``, ``make bench``."""
