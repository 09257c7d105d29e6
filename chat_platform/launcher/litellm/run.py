"""Runs inside LiteLLM's own environment: its command line, with its environment hidden.

Letta and anything else running as the same user could read its secrets in /proc.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
import ctypes
import sys

_PR_SET_DUMPABLE = 4

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    from litellm import run_server

    sys.argv[0] = "litellm"
    run_server()
