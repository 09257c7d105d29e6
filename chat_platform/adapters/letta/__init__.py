"""The agent runtime on Letta 0.16: every use of its SDK lives here."""
