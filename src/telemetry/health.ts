/** How FLM itself is: whether its event loop keeps up, and what its process uses. */
import { statSync } from 'node:fs';
import type { Clock } from '../contract';
import type { Registry } from './registry';

/** How often the loop is timed: ten wake-ups a second cost nothing that could be measured. */
const SAMPLE_MS = 100;
/** For so long the longest stall stays visible: longer than anybody waits between two scrapes. */
const WINDOW_MS = 60_000;
const LAG_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/** Times the event loop until the returned function is called. */
export function sampleLoop(registry: Registry, clock: Clock): () => void {
  const lag = registry
    .histograms('flm_event_loop_lag_seconds', 'How much too late timers of FLM ran.', [], LAG_SECONDS)
    .of();
  let worst = { ms: 0, atMs: clock.monotonicMs() };
  registry.read('gauge', 'flm_event_loop_lag_max_seconds', 'The longest of the last minute.', () =>
    clock.monotonicMs() - worst.atMs > WINDOW_MS ? 0 : worst.ms / 1_000,
  );
  let dueMs = clock.monotonicMs() + SAMPLE_MS;
  const timer = setInterval(() => {
    const nowMs = clock.monotonicMs();
    // Timers may be a moment early.
    const lateMs = Math.max(0, nowMs - dueMs);
    dueMs = nowMs + SAMPLE_MS;
    lag.observe(lateMs / 1_000);
    if (lateMs >= worst.ms || nowMs - worst.atMs > WINDOW_MS) worst = { ms: lateMs, atMs: nowMs };
  }, SAMPLE_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** What the process uses, by the names that every Prometheus knows. */
export function watchProcess(registry: Registry, clock: Clock, version: string): void {
  const startedAtMs = clock.nowMs() - process.uptime() * 1_000;
  registry.readMany('gauge', 'flm_build_info', 'Always 1; the version is in the label.', ['version'], () => [
    { labels: [version], value: 1 },
  ]);
  registry.read('gauge', 'flm_uptime_seconds', 'How long the process has run.', () => process.uptime());
  registry.read('gauge', 'process_start_time_seconds', 'When the process started, Unix time.', () =>
    Math.round(startedAtMs / 1_000),
  );
  registry.read('gauge', 'process_resident_memory_bytes', 'Memory of the process.', () =>
    process.memoryUsage.rss(),
  );
  registry.read('counter', 'process_cpu_seconds_total', 'CPU time of the process.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
}

/** The journals of databases: one that grows and grows is not being written back. */
export function watchJournals(registry: Registry, databases: Readonly<Record<string, string>>): void {
  registry.readMany('gauge', 'flm_database_wal_bytes', 'Size of the write-ahead log.', ['database'], () =>
    Object.entries(databases).map(([name, path]) => ({
      labels: [name],
      value: statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0,
    })),
  );
}
