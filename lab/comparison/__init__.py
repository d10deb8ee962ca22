"""Whether one setting is better than another: run records in, a frozen `Verdict` with its test and interval out.

Compared are the runs' headline test accuracies over seeds (`compare_runs`, `compare_settings`), or two networks' answers
to the same test images (`compare_answers`). Nothing here reads a store or loads a network.
"""
