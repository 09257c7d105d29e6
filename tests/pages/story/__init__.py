"""A lived-in platform with fakes at the ports: people with weeks of talk, memory and cost."""
