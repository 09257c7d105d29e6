"""Runs in TensorZero's own environment: its gateway, as its package opens it for OpenAI's client.

python tensorzero_gateway.py CONFIG FILE_FOR_ITS_URL PORT_THAT_SAYS_IT_IS_READY
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
import signal
import socket
import sys
from pathlib import Path

import tensorzero
from openai import OpenAI

if __name__ == "__main__":
    config, url, port = sys.argv[1:]
    client = tensorzero.patch_openai_client(
        OpenAI(api_key="unused"), config_file=config, async_setup=False
    )
    Path(url).write_text(str(client.base_url))
    with socket.create_server(("127.0.0.1", int(port))):
        signal.pause()
