#!/usr/bin/env python3
"""Prove or disprove an auditor bundle, offline; what bundles have a copy of."""

import os
import runpy

if __name__ == "__main__":
    tools = os.path.join(
        os.path.dirname(os.path.realpath(__file__)), os.pardir, "qms_sop", "tools"
    )
    runpy.run_path(os.path.join(tools, "verify_bundle.py"), run_name="__main__")
