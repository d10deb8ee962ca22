"""The run store: rows, leases, points and saved files. This is its contract; `tests/runs/` holds every backend to it.

**Parts.** `RunStore` is composed of parts that share one `StoreContext` (database and clock): `store.runs` finds, `.queue`
queues and orders, `.leases` decides who may write, `.points`, `.files`, `.history`, `.results` and `.findings` hold what a
run leaves behind, `.edits` and `.removal` are what people do, then `.imports`, `.sketches` and `.integrity`.

**Checksums.** Every change of a run's row reads it under a lock, verifies its checksum, writes, and renews it
(`row_changes.change_row`, the only way to change a row); points and saved files are covered by sums in the row
(`lab.runs.checksums`). A row that is not as it was written is never shown, trained, purged or given a new checksum: `get` and every
write raise `UnreadableRunError`, `runs.list` leaves it out or, asked for `problems`, lists it with the reason. So it is
with a configuration that this release cannot read. Whole curves and lists of files are compared with their sums
whenever they are read; what is read after a step (a live chart's polling) is not.

**Time** is the store's: the server's clock on Postgres, this host's with SQLite (`Database.moment`), so hosts need not
agree. **Outages**: a store that is busy raises `StoreBusyError`, a server that does not answer `StoreUnreachableError`,
which is one of them; every operation may be repeated, and `lab.runs.outage` does.

**Records.** The store hands out frozen records (`lab.runs.records`) and takes plain values. What a call returned is on
disk (`synchronous=FULL`); what raised left nothing behind. Each call is one short transaction, or, where it writes more
than some thousand rows, several with pauses between them (`throttled_writer`); any thread of any process may call at any
time. Every refusal is a `StoreError` of one sentence.

**One answer.** `queue.submit` returns the queued, running or finished run with the same fingerprint if there is one, decided
by a unique index and not by looking first. Paused, stopped, failed, interrupted and deleted runs are no answers, and
`fresh=True` makes a run that is none either.

**One owner.** `claim` gives the first run of the queue to one process, for one slot of its host, with a new
`lease` number. Every write of the owner carries that number and is refused with `LeaseLostError`, having changed
nothing, once the run has ended or was given to another. The lease lasts `LEASE_S` = 10 s and each write renews it;
owners renew it every `RENEW_S` = 2 s (`heartbeat`).

**Workers** write themselves into a table (`workers`) for people to see; who may train a run is decided by its lease alone.

**The queue** is `queue.list`: what is in training, then what waits, in the order in which `claim` takes it (`fair_order`): the
highest priority first, and owners in turns, until `queue.move` or `queue.prioritize` changes it. A claim is its owner's turn,
written in the same transaction. `stop_all` is one transaction: no run is claimed between.

**True states.** A record's state is read off the row in one place (`rows.derive`): RUNNING with a request to stop is
STOPPING; RUNNING whose process (host, pid *and* start) has ended is what `recover` will write down: INTERRUPTED, or what
had been asked for (STOPPED, PAUSED). A live process with an expired lease is busy or suspended, not ended: RUNNING with
`responding=False`. On another host (or in another container), silence for 40 s in all counts as its end.

**Requests.** `request` works in every state where it makes sense, is idempotent, and says so where it makes none. A
queued run stops or pauses at once. Going on again queues a paused, stopped, interrupted or failed run; if the process
that holds it lives but answers no more, it is killed first. The last request counts, also where it comes while the
owner writes down the end that an earlier one asked for.

**Sweeps.** A decision is read, thought about outside any transaction, and written in one that compares the sweep's revision:
whoever comes second gets `StaleSweepError` and reads again. What a trial does is read off its run. A trial's run has a `pause_epoch`,
after which its owner pauses it; a person who continues it takes that away.

**Points** are known by run, series and step; writing one again replaces it, so that a resumed run may repeat steps. A
run that went back to a step (`history.rewind`) has neither points nor files beyond it; until its owner says so, all are there.
All float64 values come back as they were, with two exceptions that SQLite makes: NaN is stored as NULL and comes back
as the one quiet NaN, and -0.0 comes back as 0.0. JSON columns keep NaN and infinities (`encoding`).

**Findings** are replaced as a whole by the run's owner, and are part of what its digest covers. NULL means that nobody
has diagnosed the run yet: it is of an earlier release, or imported. `findings.fill` gives it its findings once.

**Saved files** are listed after they are written, with SHA-256 and size; a file may be listed by several runs
(`history.copy`), and only paths that no run lists any more are handed out for deletion. `files.find_orphans` names the
files whose writer was killed before it listed them, or after it took them off the list.

**Imports.** `imports.insert` stores runs that ended elsewhere, with their points and files, all of them or none: nobody sees
one before all are complete, and what a killed import left is removed by `purge`. They are marked by their origin and are
nobody's cached answer.

**Deleting** hides a run, `undelete` brings it back, `purge` removes what was deleted a week ago: its points, then its
files, then the list of them. A record leaves out facts that cannot be what they say (`facts`): NaN, "" or nothing stands
in their place.
"""
