"""The fault machine: seeded runs of the platform against everything that can break, then laws.

A seed gives the same schedule every time: who does what when, what each agent says, how the
gateway answers each request, which trouble occurs when and at which statement or byte. What
differs are ids, how threads and Postgres interleave with it, and therefore which statement of a
process is its n-th. Replay a seed that fails only sometimes in a loop.

`make faults SECONDS=600 DATABASE=postgres` explores; `python -m tests.faults --seed` replays.
"""
