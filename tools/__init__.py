"""What `make` does: prerequisites, Python environment, Pulumi engine, stack, tests. Standard library only.

It runs before anything is installed, so no module here may import a package that is not part of Python itself.
"""
