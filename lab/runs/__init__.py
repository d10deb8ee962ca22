"""The run store: rows, leases, points and saved files. This is its contract; `tests/runs/` tests every backend.

**Parts.** `RunStore` is composed of parts that share one `StoreContext` (database and clock): `store.runs` looks runs
up, `.queue` submits and orders them, `.leases` decides who may write. `.points`, `.files`, `.history`, `.results` and
`.findings` hold what a run produces, `.edits` and `.removal` are actions of users; then come `.imports`,
`.sketches` and `.integrity`.

**Checksums.** Every change of a run's row reads the row under a lock, verifies its checksum, writes, and renews it
(`row_changes.change_row`, the only way to change a row). Sums in the row cover points and saved files
(`lab.runs.checksums`). A row whose checksum does not match is never shown, trained, purged or given a new checksum:
`get` and every write raise `UnreadableRunError`; `runs.list` leaves it out or, with `problems`, lists it with the
reason. The same holds for a configuration that this release cannot read. Whole curves and lists of files are compared
with their sums whenever they are read; curves read from some step on (the polling of a live chart) are not.

**Time** is the store's: the server's clock on Postgres, this host's clock with SQLite (`Database.moment`), so the
clocks of hosts need not agree. **Outages**: a busy store raises `StoreBusyError`, a server that does not respond its
subclass `StoreUnreachableError`. Every operation may be repeated, and `lab.runs.outage` does so.

**Records.** The store returns frozen records (`lab.runs.records`) and accepts plain values. When a call returns, its
changes are on disk (`synchronous=FULL`); when it raises, nothing was changed. Each call is one short transaction or, if
it writes more than some thousand rows, several with pauses between them (`throttled_writer`). Any thread of any process
may call at any time. Every refusal is a `StoreError` of one sentence.

**Cached answers.** `queue.submit` returns the queued, running or finished run with the same fingerprint if there is
one; a unique index decides, not a lookup beforehand. Paused, stopped, failed, interrupted and deleted runs are never
cached answers, and neither is a run submitted with `fresh=True`.

**One owner.** `claim` assigns the first run of the queue to one process, for one slot of its host, with a new `lease`
number. Every write of the owner carries that number. Once the run has ended or was assigned to another process, such a
write changes nothing and raises `LeaseLostError`. The lease lasts `LEASE_S` = 10 s and every write renews it; owners
renew it every `RENEW_S` = 2 s (`heartbeat`).

**Workers** register in a table (`workers`) for display only; the lease of a run decides who may train it.

**The queue** is `queue.list`: the runs in training, then the waiting ones in the order in which `claim` takes them
(`fair_order`): the highest priority first, and owners in turn, until `queue.move` or `queue.prioritize` changes it. A
claim uses up its owner's turn in the same transaction. `stop_all` is one transaction: no run is claimed in between.

**Derived states.** The state of a record is derived from the row in one place (`rows.derive`). RUNNING with a request
to stop is STOPPING. RUNNING whose process (host, pid *and* start) has exited is what `recover` will record:
INTERRUPTED, or what was requested (STOPPED, PAUSED). A live process with an expired lease is busy or suspended, not
ended: RUNNING with `responding=False`. A process on another host (or in another container) counts as ended after a
silence of 40 s in all.

**Requests.** `request` works in every state in which it makes sense, is idempotent, and raises `RunStateError` in all
others. A queued run stops or pauses at once. Resuming queues a paused, stopped, interrupted or failed run; if the
process that holds it is alive but does not respond, it is killed first. The last request counts, even if it arrives
while the owner records the end that an earlier one requested.

**Sweeps.** A decision is made outside any transaction and written in one that compares the sweep's revision: the second
of two writers gets `StaleSweepError` and reads the sweep again. The state of a trial is derived from its run. The run
of a trial has a `pause_epoch`, after which its owner pauses it; a user who resumes the run removes it.

**Points** are identified by run, series and step. Writing one again replaces it, so that a resumed run may repeat
steps. A run that was rewound to a step (`history.rewind`) has neither points nor files beyond it; until its owner
rewinds it, all are there. Float64 values are returned exactly as stored, with two exceptions due to SQLite: NaN is
stored as NULL and returned as the one quiet NaN, and -0.0 is returned as 0.0. JSON columns preserve NaN and infinities
(`encoding`).

**Findings** are replaced as a whole by the run's owner and are covered by the run's checksum. NULL means that the run
has not been diagnosed yet: it is of an earlier release, or imported. `findings.fill` adds its findings once.

**Saved files** are listed after they are written, with SHA-256 and size. Several runs may list one file
(`history.copy`); only paths that no run lists any more are returned for deletion. `files.find_orphans` returns the
files whose writer was killed before it listed them, or after it removed them from the list.

**Imports.** `imports.insert` stores runs that ended elsewhere, with their points and files, all of them or none: none
is visible before all are complete, and `purge` removes what a killed import left. Their origin marks them, and they
are never cached answers.

**Deleting** hides a run, `undelete` restores it, and `purge` removes what was deleted a week ago: its points, then its
files, then the list of them. A record leaves out impossible facts (`facts`); NaN, "" or an absent key replaces them.
"""
