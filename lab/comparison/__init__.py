"""Statistical comparison of settings: takes run records and returns a frozen `Verdict` with its test and interval.

It compares the runs' headline test accuracies over seeds, or validation accuracies over folds (`compare_runs`,
`compare_settings`), or two networks' predictions for the same test images (`compare_answers`). It does not read a store
or load a network.
"""
