"""A platform after weeks of use, with fakes at the ports: conversations, memories and costs."""
