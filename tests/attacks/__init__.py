"""
Attacks: random use and misuse of a whole server, and sockets that fail.

C{make test} runs a short part of each.  C{python -m tests.attacks.fuzz --minutes 30 --seed 7}
goes on for as long as it is told.
"""
