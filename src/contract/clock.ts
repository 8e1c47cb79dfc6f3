/** Two readings of time. Wall time is for people and records, monotonic time for limits, ages and deadlines. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. May jump when somebody sets the machine's clock. */
  nowMs(): number;
  /** Milliseconds since an arbitrary point of this process. Never goes back. */
  monotonicMs(): number;
}
