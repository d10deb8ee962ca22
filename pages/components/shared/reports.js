// @ts-check
// Reports to the server one at a time: while one is being answered, only the newest of the following values waits.

const TIMEOUT_MS = 1500; // after this long without an answer, the next value is reported anyway

/** @template T */
export class Reports {
  /**
   * @param {(value: T) => void} report
   * @param {() => number} now in milliseconds
   */
  constructor(report, now = () => performance.now()) {
    this.report = report;
    this.now = now;
    this.sentAt = 0;
    this.forget();
  }

  /** Whether a report is still to be answered. */
  get busy() {
    return this.sent !== undefined && this.now() - this.sentAt < TIMEOUT_MS;
  }

  /**
   * Report a value, at once or after the answer to the last report.
   * @param {T} value
   */
  offer(value) {
    if (this.busy) {
      this.waiting = value;
      return;
    }
    this.sent = value;
    this.sentAt = this.now();
    this.report(value);
  }

  /** Note that the last report was answered; return whether a waiting value was reported. */
  answered() {
    const { waiting } = this;
    this.forget();
    if (waiting === undefined) return false;
    this.offer(waiting);
    return true;
  }

  /** Forget what was reported and what waits. */
  forget() {
    /** @type {T | undefined} */
    this.sent = undefined;
    /** @type {T | undefined} */
    this.waiting = undefined;
  }
}
