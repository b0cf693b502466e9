"""What the Makefile runs: from a bare checkout to a working Odoo 19, tests and lint.

Everything here runs with the machine's own Python 3.10 or later and the standard
library alone, because it runs before any virtual environment exists. Whatever is made
lies under `.qms/` in the checkout.
"""
