"""Anybody's prepared rows (ids and labels) in, what they really train out.

load.py reads files, rows.py makes arrays of them, vocabulary.py knows the bytes of every token, grammar.py and probe.py
how turns look, events.py and turns.py where they are, checks.py and turn_checks.py what is wrong, tally.py counts it,
run.py puts them in a row.
"""
