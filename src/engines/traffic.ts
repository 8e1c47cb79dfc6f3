/**
 * How engines have answered lately, per model: the share they failed, how soon the first token came, how fast the rest.
 * Kept in memory, bounded, forgotten after a while; the order of candidates is made from it.
 */
import type { Candidate, Clock, LeaseOutcome, Seen } from '../contract';

export interface TrafficSummary {
  /** Requests that ended one way or the other in the last minutes. */
  readonly requests: number;
  /** Share of them that failed, 0 to 1. */
  readonly errorRate: number;
  readonly tokensPerSecond: number | null;
  /** It fails more than it should, or its first tokens take far longer than they used to (HL-081). */
  readonly degraded: boolean;
}

export interface Traffic {
  add(candidate: Candidate, outcome: LeaseOutcome, durationMs: number, seen: Seen | null): void;
  of(engineId: string, model: string): TrafficSummary;
  forget(engineId: string): void;
}

interface Sample {
  readonly atMs: number;
  readonly failed: boolean;
  readonly firstTokenMs: number | null;
  readonly tokensPerSecond: number | null;
}

interface Line {
  readonly samples: Sample[];
  /** Smoothed time to the first token over everything that was seen: what "used to" means. */
  baselineMs: number | null;
  /** Made when it is asked for, dropped when a sample comes or one gets too old. */
  summary: { readonly value: TrafficSummary; readonly untilMs: number } | null;
}

/** Others are asked before a degraded engine, so nothing but time can clear it. */
const WINDOW_MS = 120_000;
const MAX_SAMPLES = 64;
/** HL-081's picks. */
const MAX_ERROR_RATE = 0.15;
const MAX_SLOWDOWN = 3;
/** Fewer say nothing: one failure of two is no rate. */
const MIN_SAMPLES = 7;
/** Weight of one more request in the baseline. */
const SMOOTHING = 1 / 64;
const NOTHING: TrafficSummary = { requests: 0, errorRate: 0, tokensPerSecond: null, degraded: false };

export function createTraffic(clock: Clock): Traffic {
  const engines = new Map<string, Map<string, Line>>();

  function lineOf(engineId: string, model: string): Line {
    const models = engines.get(engineId) ?? new Map<string, Line>();
    engines.set(engineId, models);
    const line = models.get(model) ?? { samples: [], baselineMs: null, summary: null };
    models.set(model, line);
    return line;
  }

  return {
    add({ engine, model }, outcome, durationMs, seen) {
      // A client that left says nothing about the engine.
      if (outcome === 'aborted') return;
      const line = lineOf(engine.id, model);
      const firstTokenMs = seen?.firstTokenMs ?? null;
      line.samples.push({
        atMs: clock.monotonicMs(),
        failed: outcome === 'failed',
        firstTokenMs,
        tokensPerSecond: speedOf(durationMs, seen),
      });
      if (line.samples.length > MAX_SAMPLES) line.samples.shift();
      if (firstTokenMs !== null) {
        line.baselineMs =
          line.baselineMs === null
            ? firstTokenMs
            : line.baselineMs + (firstTokenMs - line.baselineMs) * SMOOTHING;
      }
      line.summary = null;
    },

    of(engineId, model) {
      const line = engines.get(engineId)?.get(model);
      if (line === undefined) return NOTHING;
      const nowMs = clock.monotonicMs();
      if (line.summary !== null && line.summary.untilMs > nowMs) return line.summary.value;
      while (line.samples[0] !== undefined && line.samples[0].atMs <= nowMs - WINDOW_MS) line.samples.shift();
      const oldest = line.samples[0];
      if (oldest === undefined) return NOTHING;
      const value = summarise(line.samples, line.baselineMs);
      line.summary = { value, untilMs: oldest.atMs + WINDOW_MS };
      return value;
    },

    forget: (engineId) => void engines.delete(engineId),
  };
}

function summarise(samples: readonly Sample[], baselineMs: number | null): TrafficSummary {
  const failed = samples.filter((sample) => sample.failed).length;
  const errorRate = failed / samples.length;
  const first = numbersOf(samples, (sample) => sample.firstTokenMs);
  const late = quantile(first, 0.95);
  const slow = baselineMs !== null && late !== null && late > baselineMs * MAX_SLOWDOWN;
  return {
    requests: samples.length,
    errorRate,
    tokensPerSecond: quantile(
      numbersOf(samples, (sample) => sample.tokensPerSecond),
      0.5,
    ),
    degraded: samples.length >= MIN_SAMPLES && (errorRate > MAX_ERROR_RATE || slow),
  };
}

/** Output tokens per second after the first, or null when too few came to tell. */
function speedOf(durationMs: number, seen: Seen | null): number | null {
  const tokens = seen?.usage?.completionTokens ?? 0;
  const ms = durationMs - (seen?.firstTokenMs ?? 0);
  return tokens > 1 && ms > 0 ? ((tokens - 1) / ms) * 1_000 : null;
}

function numbersOf(samples: readonly Sample[], read: (sample: Sample) => number | null): number[] {
  return samples.map(read).filter((value) => value !== null);
}

function quantile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}
